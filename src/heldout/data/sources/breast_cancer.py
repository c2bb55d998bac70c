"""Wisconsin breast cancer: measures of cell nuclei, as scikit-learn ships them."""

from __future__ import annotations

import numpy as np

from heldout.config.data import DataConfig
from heldout.data.card import Column
from heldout.data.raw import RawData
from heldout.data.sources._packages import package_file, read_numbers
from heldout.data.sources._registry import source

MEASURES = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
)
# in the order of the file: the mean over the nuclei of an image, its standard error, and the mean of the three largest
COLUMNS = tuple(
    [f"mean {measure}" for measure in MEASURES]
    + [f"{measure} error" for measure in MEASURES]
    + [f"worst {measure}" for measure in MEASURES]
)
CLASSES = ["malignant", "benign"]


@source("breast_cancer")
def load(config: DataConfig) -> RawData:
    """569 rows of 30 numbers; the file codes malignant as 0 and benign as 1."""
    table = read_numbers(package_file("sklearn", "datasets", "data", "breast_cancer.csv"), skip_rows=1)
    return RawData(
        ids=np.array([f"breast_cancer-{row}" for row in range(len(table))]),
        inputs={"numeric": table[:, :-1].astype(np.float32)},
        target=np.array(CLASSES)[table[:, -1].astype(int)],
        classes=CLASSES,
        columns=[Column(name=name, kind="numeric", categories=[]) for name in COLUMNS],
        license="CC BY 4.0 (UCI Machine Learning Repository); shipped with scikit-learn, BSD-3-Clause",
        citation="W. Wolberg, O. Mangasarian, N. Street and W. Street: Breast Cancer Wisconsin (Diagnostic). UCI "
        "Machine Learning Repository, 1995. doi:10.24432/C5DW2B",
        description="Shape and texture of the cell nuclei in images of fine needle aspirates; one row a patient.",
    )
