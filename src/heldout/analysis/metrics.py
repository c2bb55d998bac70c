"""Chance: what is reached without looking at the inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heldout.predictions import Predictions
from heldout.scoring import Scoring, correct, log_loss

__all__ = ["Chance", "correct", "log_loss"]


@dataclass(frozen=True)
class Chance:
    """What is reached without looking at the inputs.

    level: score on validation; majority: whether it comes from always naming train's most frequent class.
    """

    level: float
    majority: bool

    @classmethod
    def of(cls, train_target: np.ndarray, validation_target: np.ndarray, classes: int) -> Chance:
        """The better of naming train's most frequent class and guessing evenly among `classes`."""
        counts = np.bincount(train_target, minlength=classes)
        of_majority = float(np.mean(validation_target == counts.argmax()))
        return cls(max(of_majority, 1 / classes), of_majority > 1 / classes)

    @classmethod
    def of_task(cls, scoring: Scoring, train: Predictions, validation: Predictions, classes: int) -> Chance:
        """Of classes as above; other scores begin at 0 for what knows nothing, by their definition."""
        if scoring.is_share:
            return cls.of(train.target, validation.target, classes)
        return cls(0.0, majority=False)

    def lift(self, score: float) -> float:
        """Share of the way from chance (0) to a perfect score (1) covered; below 0 under chance."""
        if self.level >= 1:
            return 0.0
        return (score - self.level) / (1 - self.level)
