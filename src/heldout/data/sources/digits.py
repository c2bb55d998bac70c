"""Handwritten digits of 8 x 8 pixels, as scikit-learn ships them."""

from __future__ import annotations

import numpy as np

from heldout.config.data import DataConfig
from heldout.data.raw import RawData
from heldout.data.sources._packages import package_file, read_numbers
from heldout.data.sources._registry import source


@source("digits")
def load(config: DataConfig) -> RawData:
    """1,797 images; the 17 levels of the file, 0 to 16, are spread over 0 to 255."""
    table = read_numbers(package_file("sklearn", "datasets", "data", "digits.csv.gz"))
    return RawData(
        ids=np.array([f"digits-{row}" for row in range(len(table))]),
        inputs={"x": np.rint(table[:, :-1] * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)},
        target=table[:, -1].astype(int).astype(str),
        classes=[str(digit) for digit in range(10)],
        license="CC BY 4.0 (UCI Machine Learning Repository); shipped with scikit-learn, BSD-3-Clause",
        citation="E. Alpaydin and C. Kaynak: Optical Recognition of Handwritten Digits. UCI Machine Learning "
        "Repository, 1998. doi:10.24432/C50P49",
        description="The test part of the UCI set: digits written by 13 people who are not in the training part, as "
        "8 x 8 grey levels. Which image is whose is not known, so a split cannot keep writers apart.",
    )
