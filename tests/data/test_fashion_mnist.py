"""Fashion-MNIST: files of the same make, and what is said of absent and damaged ones."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from heldout.config.data import FashionMNISTData
from heldout.data.errors import FileUnreadable, PackageMissing
from heldout.data.sources import load_source


def write_idx(path: Path, values: np.ndarray) -> None:
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


@pytest.fixture
def config(tmp_path: Path) -> FashionMNISTData:
    """Six images to learn from and two of test, the value of whose pixels is their number."""
    for name, first, count in (("train", 0, 6), ("t10k", 6, 2)):
        numbers = np.arange(first, first + count)
        write_idx(tmp_path / f"{name}-images-idx3-ubyte.gz", np.tile(numbers[:, None, None], (1, 28, 28)))
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte.gz", 9 - numbers)
    return FashionMNISTData(name="fashion", folder=str(tmp_path))


def test_images_labels_and_splits_belong_together(config: FashionMNISTData) -> None:
    raw = load_source(config)
    assert raw.inputs["x"].shape == (8, 1, 28, 28)
    assert raw.inputs["x"][:, 0, 3, 4].tolist() == list(range(8))
    assert raw.target[[0, 1, 7]].tolist() == ["ankle boot", "bag", "pullover"]
    assert raw.split is not None
    assert raw.split.tolist() == ["train"] * 6 + ["test"] * 2
    assert raw.ids[[0, 6]].tolist() == ["train-0", "test-0"]


def test_without_the_debian_package_it_is_named() -> None:
    with pytest.raises(PackageMissing, match=r"data.folder=nowhere.*Debian package dataset-fashion-mnist.*dpkg-deb -x"):
        load_source(FashionMNISTData(name="fashion", folder="nowhere"))


@pytest.mark.parametrize("damage", ["cut", "labels", "short"])
def test_a_damaged_file_is_refused_by_name(config: FashionMNISTData, damage: str) -> None:
    path = Path(config.folder) / "t10k-images-idx3-ubyte.gz"
    content = gzip.decompress(path.read_bytes())
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:40])
    elif damage == "labels":
        path.write_bytes((Path(config.folder) / "t10k-labels-idx1-ubyte.gz").read_bytes())
    else:
        path.write_bytes(gzip.compress(content[:-1]))
    with pytest.raises(FileUnreadable, match=r"t10k-images-idx3-ubyte\.gz"):
        load_source(config)
