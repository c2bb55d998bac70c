"""The gap: how much better a model looks on train than on validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heldout.analysis.intervals import Estimate, mean_difference, proportion_difference
from heldout.config.analysis import AnalysisConfig
from heldout.predictions import Predictions
from heldout.scoring import CLASSIFICATION, Scoring, scoring_of

NO_INTERVAL = "no interval: the history has no values of single examples"


@dataclass(frozen=True)
class Gap:
    """Train minus validation of one metric at one epoch, both in evaluation mode on fixed examples.

    With overfitting the gap of the score is above 0, that of the loss below. `at` is "kept" or "end".
    """

    metric: str
    at: str
    epoch: int
    train: float
    validation: float
    value: Estimate


def kept_gaps(
    train: Predictions,
    validation: Predictions,
    epoch: int,
    cfg: AnalysisConfig,
    rng: np.random.Generator,
    scoring: Scoring | None = None,
) -> list[Gap]:
    """Gaps of score and loss at the kept epoch, and of what a critic says, with a bootstrap interval over examples.

    The examples of the two splits are not the same, so they are resampled independently. The bootstrap sees
    no spread in a validation set of which all answers, or none, are right; the accuracy then has Newcombe's
    interval. Without `scoring`, of a classification.
    """
    scoring = scoring or scoring_of(CLASSIFICATION)
    scores = scoring.score.of_examples(train), scoring.score.of_examples(validation)
    losses = scoring.loss.of_examples(train), scoring.loss.of_examples(validation)
    if not scoring.is_share or 0 < scores[1].sum() < len(scores[1]):
        score = mean_difference(*scores, cfg.confidence, cfg.bootstrap_samples, rng)
    else:
        score = proportion_difference(scores[0].sum(), len(scores[0]), scores[1].sum(), len(scores[1]), cfg.confidence)
    loss = mean_difference(*losses, cfg.confidence, cfg.bootstrap_samples, rng)
    found = [(scoring.score.name, scores, score), (scoring.loss.name, losses, loss)]
    for name in scoring.optional:
        if name in train.columns and name in validation.columns:
            sides = train.columns[name], validation.columns[name]
            found.append((name, sides, mean_difference(*sides, cfg.confidence, cfg.bootstrap_samples, rng)))
    return [Gap(name, "kept", epoch, float(one.mean()), float(other.mean()), of) for name, (one, other), of in found]


def end_gaps(
    train: dict[str, float],
    validation: dict[str, float],
    examples: dict[str, int],
    epoch: int,
    cfg: AnalysisConfig,
    scoring: Scoring | None = None,
) -> list[Gap]:
    """Gaps of score and loss after the last epoch, from the two rows of the history.

    Predictions are kept for one epoch only, so there is nothing to resample here: the accuracy, a share of a
    known number of `examples` (by split), has Newcombe's score interval; the loss, and any other score, has none.
    Without `scoring`, of a classification.
    """
    scoring = scoring or scoring_of(CLASSIFICATION)
    of_score, of_loss = scoring.score.name, scoring.loss.name
    score = Estimate(train[of_score] - validation[of_score], method=NO_INTERVAL)
    if scoring.is_share:
        score = proportion_difference(
            train[of_score] * examples["train"],
            examples["train"],
            validation[of_score] * examples["validation"],
            examples["validation"],
            cfg.confidence,
        )
    loss = Estimate(train[of_loss] - validation[of_loss], method=NO_INTERVAL)
    return [
        Gap(of_score, "end", epoch, train[of_score], validation[of_score], score),
        Gap(of_loss, "end", epoch, train[of_loss], validation[of_loss], loss),
    ]
