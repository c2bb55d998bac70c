"""Data files inside installed packages, read without importing the package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from heldout.data.arrow import to_numpy
from heldout.data.errors import FileUnreadable


def package_file(package: str, *parts: str) -> Path:
    """A file that ships with a package.

    Raises:
        FileUnreadable: the package is not installed, or this version of it lacks the file.
    """
    spec = find_spec(package)
    for folder in spec.submodule_search_locations or [] if spec else []:
        path = Path(folder, *parts)
        if path.is_file():
            return path
    raise FileUnreadable(
        f"the data set ships as {'/'.join(parts)} in the Python package '{package}', which "
        f"{'lacks it in the installed version' if spec else 'is not installed'}; expected the version that "
        "requirements.lock names."
    )


def read_numbers(path: Path, skip_rows: int = 0) -> np.ndarray:
    """A csv file of numbers, compressed or not, as float64 [rows, columns]."""
    from pyarrow import csv

    table = csv.read_csv(path, csv.ReadOptions(skip_rows=skip_rows, autogenerate_column_names=True))
    return np.stack([to_numpy(column) for column in table.columns], axis=1).astype(np.float64)
