"""Tables of the R package mlbench, from the files of its Debian package."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from heldout.config.data import DataConfig, MlbenchData
from heldout.data.card import Column
from heldout.data.errors import DataError, FileUnreadable, PackageMissing
from heldout.data.hashing import hash_file
from heldout.data.raw import RawData
from heldout.data.sources._registry import source

UCI = "CC BY 4.0 (UCI Machine Learning Repository, Statlog); shipped with mlbench, GPL-2"
CITATION = "F. Leisch and E. Dimitriadou: mlbench, Machine Learning Benchmark Problems. R package, version 2.1"


@source("mlbench")
def load(config: DataConfig) -> RawData:
    """The frame `item`, whose last column is the class and whose others are numbers.

    Raises:
        PackageMissing: the Debian package, or what reads its files, is not there.
        FileUnreadable: there is no such frame, or it is of another kind.
    """
    if not isinstance(config, MlbenchData):
        raise DataError("data.source=mlbench needs an item; expected a data file that begins with 'schema_mlbench'.")
    path = Path(config.folder) / f"{config.item}.rda"
    frame = _read(path, config.item)
    *names, target = frame.columns
    return RawData(
        ids=np.array([f"row-{row}" for row in range(1, len(frame) + 1)]),
        inputs={"numeric": _numbers(frame[names], path)},
        target=np.array(frame[target].astype(str).tolist()),
        classes=[str(label) for label in frame[target].cat.categories],
        columns=[Column(name=name, kind="numeric", categories=[]) for name in names],
        file_hash=hash_file(path),
        license=UCI,
        citation=CITATION,
        description=f"Frame '{config.item}' of mlbench.",
    )


def _read(path: Path, item: str) -> Any:
    if find_spec("rdata") is None:
        raise PackageMissing(
            "mlbench's tables are R files, and the Python package rdata, which reads them, is not installed; expected "
            "the extra `datasets`: pip install 'heldout[datasets]'."
        )
    if not path.parent.is_dir():
        raise PackageMissing(
            f"data.folder={path.parent}: there is no such folder; expected that of the Debian package r-cran-mlbench. "
            "Install it (apt install r-cran-mlbench), or unpack it anywhere and name the folder: apt download "
            "r-cran-mlbench && dpkg-deb -x r-cran-mlbench_*.deb DIR, then "
            "data.folder=DIR/usr/lib/R/site-library/mlbench/data."
        )
    if not path.is_file():
        raise FileUnreadable(f"data.item={item}: {path.parent} has no {path.name}; expected for example Vehicle.")
    import rdata

    with warnings.catch_warnings():
        # the names are ASCII, though the file does not say so; of a file that it cannot read, an error tells
        warnings.filterwarnings("ignore", message="Unknown")
        try:
            return rdata.read_rda(str(path))[item]
        except (ValueError, KeyError, NotImplementedError, EOFError, OSError) as error:
            raise FileUnreadable(f"{path} is not a readable R file of the frame '{item}': {error}") from None


def _numbers(frame: Any, path: Path) -> np.ndarray:
    try:
        return np.asarray(frame.to_numpy(np.float32))
    except ValueError as error:
        raise FileUnreadable(f"{path}: a column holds no numbers ({error}); expected numbers and a class.") from None
