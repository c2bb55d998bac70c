"""The gap: how much better a model looks on train than on validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heldout.analysis.intervals import Estimate, mean_difference, proportion_difference
from heldout.analysis.metrics import correct, log_loss
from heldout.config.analysis import AnalysisConfig
from heldout.record import Predictions

NO_INTERVAL = "no interval: the history has no values of single examples"


@dataclass(frozen=True)
class Gap:
    """Train minus validation of one metric at one epoch, both in evaluation mode on fixed examples.

    With overfitting the gap of the accuracy is above 0, that of the loss below. `at` is "kept" or "end".
    """

    metric: str
    at: str
    epoch: int
    train: float
    validation: float
    value: Estimate


def kept_gaps(
    train: Predictions, validation: Predictions, epoch: int, cfg: AnalysisConfig, rng: np.random.Generator
) -> list[Gap]:
    """Gaps of accuracy and loss at the kept epoch, with a bootstrap interval over examples.

    The examples of the two splits are not the same, so they are resampled independently. The bootstrap sees
    no spread in a validation set of which all answers, or none, are right; the accuracy then has Newcombe's
    interval.
    """
    right = correct(train), correct(validation)
    losses = log_loss(train), log_loss(validation)
    if 0 < right[1].sum() < len(right[1]):
        accuracy = mean_difference(*right, cfg.confidence, cfg.bootstrap_samples, rng)
    else:
        accuracy = proportion_difference(right[0].sum(), len(right[0]), right[1].sum(), len(right[1]), cfg.confidence)
    loss = mean_difference(*losses, cfg.confidence, cfg.bootstrap_samples, rng)
    return [
        Gap("accuracy", "kept", epoch, float(right[0].mean()), float(right[1].mean()), accuracy),
        Gap("loss", "kept", epoch, float(losses[0].mean()), float(losses[1].mean()), loss),
    ]


def end_gaps(
    train: dict[str, float],
    validation: dict[str, float],
    examples: dict[str, int],
    epoch: int,
    cfg: AnalysisConfig,
) -> list[Gap]:
    """Gaps of accuracy and loss after the last epoch, from the two rows of the history.

    Predictions are kept for one epoch only, so there is nothing to resample here: the accuracy, a share of a
    known number of `examples` (by split), has Newcombe's score interval; the loss has none.
    """
    accuracy = proportion_difference(
        train["accuracy"] * examples["train"],
        examples["train"],
        validation["accuracy"] * examples["validation"],
        examples["validation"],
        cfg.confidence,
    )
    loss = Estimate(train["loss"] - validation["loss"], method=NO_INTERVAL)
    return [
        Gap("accuracy", "end", epoch, train["accuracy"], validation["accuracy"], accuracy),
        Gap("loss", "end", epoch, train["loss"], validation["loss"], loss),
    ]
