"""Images of clothes, from the files of a Debian package."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from heldout.config.data import DataConfig, FashionMNISTData
from heldout.data.errors import DataError, FileUnreadable, PackageMissing
from heldout.data.raw import RawData
from heldout.data.sources._registry import source

PACKAGE = "dataset-fashion-mnist"
CLASSES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
# part of the file names by split
FILES = {"train": "train", "test": "t10k"}
# of an IDX file: two zeros, the type of its numbers (8: uint8) and how many axes it has
UINT8 = 8


@source("fashion_mnist")
def load(config: DataConfig) -> RawData:
    """60,000 + 10,000 grey images of 28 x 28 pixels.

    Raises:
        PackageMissing: the Debian package is not there.
        FileUnreadable: a file is damaged, or of another kind.
    """
    if not isinstance(config, FashionMNISTData):
        raise DataError(
            "data.source=fashion_mnist needs a folder; expected a data file that begins with 'schema_fashion_mnist'."
        )
    folder = Path(config.folder)
    images = {split: read_idx(folder / f"{name}-images-idx3-ubyte.gz", 3) for split, name in FILES.items()}
    labels = {split: read_idx(folder / f"{name}-labels-idx1-ubyte.gz", 1) for split, name in FILES.items()}
    return RawData(
        ids=np.array([f"{split}-{row}" for split in FILES for row in range(len(images[split]))]),
        inputs={"x": np.concatenate(list(images.values()))[:, None]},
        target=np.array(CLASSES)[np.concatenate(list(labels.values()))],
        classes=CLASSES,
        split=np.repeat(list(FILES), [len(of) for of in images.values()]),
        license="MIT",
        citation="H. Xiao, K. Rasul and R. Vollgraf: Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine "
        "Learning Algorithms. arXiv 1708.07747, 2017",
        description="Pictures of articles of Zalando's, made grey and small. Validation is carved out of the "
        "publisher's training part.",
    )


def read_idx(path: Path, axes: int) -> np.ndarray:
    """The whole numbers of a compressed IDX file, uint8 of so many axes."""
    if not path.is_file():
        raise PackageMissing(
            f"data.folder={path.parent}: there is no {path.name}; expected the folder of the Debian package {PACKAGE}. "
            f"Install it (apt install {PACKAGE}), or unpack it anywhere and name the folder: apt download {PACKAGE} && "
            f"dpkg-deb -x {PACKAGE}_*.deb DIR, then data.folder=DIR/usr/share/datasets/fashion-mnist."
        )
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise FileUnreadable(f"{path} is damaged ({error}); install {PACKAGE} again.") from None
    start = 4 * (1 + axes)
    shape = struct.unpack(f">{axes}I", content[4:start]) if len(content) >= start else ()
    if content[:4] != bytes((0, 0, UINT8, axes)) or len(content) - start != np.prod(shape):
        raise FileUnreadable(
            f"{path} is no IDX file of {axes} axes of bytes as long as it says; install {PACKAGE} again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
