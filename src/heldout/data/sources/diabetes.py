"""Progression of diabetes, as scikit-learn ships it."""

from __future__ import annotations

import numpy as np

from heldout.config.data import DataConfig
from heldout.data.card import Column
from heldout.data.raw import RawData
from heldout.data.sources._packages import package_file
from heldout.data.sources._registry import source

COLUMNS = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


@source("diabetes")
def load(config: DataConfig) -> RawData:
    """442 rows of 10 numbers as they were measured, and a number between 25 and 346."""
    inputs = np.loadtxt(package_file("sklearn", "datasets", "data", "diabetes_data_raw.csv.gz"), dtype=np.float32)
    target = np.loadtxt(package_file("sklearn", "datasets", "data", "diabetes_target.csv.gz"))
    return RawData(
        ids=np.array([f"diabetes-{row}" for row in range(len(target))]),
        inputs={"numeric": inputs},
        target=target,
        classes=[],
        columns=[Column(name=name, kind="numeric", categories=[]) for name in COLUMNS],
        license="not stated; shipped with scikit-learn, BSD-3-Clause",
        citation="B. Efron, T. Hastie, I. Johnstone and R. Tibshirani: Least angle regression. Annals of Statistics "
        "32, 2004",
        description="Age, sex, body mass index, blood pressure and six blood values of patients; the number is a "
        "measure of the progression of their disease one year later.",
    )
