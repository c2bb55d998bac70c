"""Metrics of single examples, from which scores, gaps and intervals are made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heldout.record import Predictions

# a classical model may give a class the probability 0; this keeps its log loss finite, at 15.9 at most
SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)


def correct(predictions: Predictions) -> np.ndarray:
    """1.0 where the most probable class is the target, else 0.0; float64 [n]. Its mean is the accuracy."""
    return np.asarray(predictions.probabilities.argmax(axis=1) == predictions.target, dtype=np.float64)


def log_loss(predictions: Predictions) -> np.ndarray:
    """Negative natural logarithm of the probability of the target; float64 [n], in nats."""
    of_target = predictions.probabilities[np.arange(len(predictions.target)), predictions.target]
    return np.asarray(-np.log(np.clip(of_target.astype(np.float64), SMALLEST_PROBABILITY, 1.0)))


@dataclass(frozen=True)
class Chance:
    """What is reached without looking at the inputs.

    level: accuracy on validation; majority: whether it comes from always naming train's most frequent class.
    """

    level: float
    majority: bool

    @classmethod
    def of(cls, train_target: np.ndarray, validation_target: np.ndarray, classes: int) -> Chance:
        """The better of naming train's most frequent class and guessing evenly among `classes`."""
        counts = np.bincount(train_target, minlength=classes)
        of_majority = float(np.mean(validation_target == counts.argmax()))
        return cls(max(of_majority, 1 / classes), of_majority > 1 / classes)

    def lift(self, score: float) -> float:
        """Share of the way from chance (0) to a perfect score (1) covered; below 0 under chance."""
        if self.level >= 1:
            return 0.0
        return (score - self.level) / (1 - self.level)
