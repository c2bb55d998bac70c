"""Learning curves of a run, and their mean over the seeds of a family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from heldout.scoring import CLASSIFICATION, Scoring, scoring_of

if TYPE_CHECKING:
    import pandas as pd

CURVES = ("train_loss", "validation_loss", "train_score", "validation_score")


@dataclass(frozen=True)
class Curves:
    """Loss and score of both splits, each [epochs]; None where a value is missing or not finite."""

    epoch: list[int] = field(default_factory=list)
    train_loss: list[float | None] = field(default_factory=list)
    validation_loss: list[float | None] = field(default_factory=list)
    train_score: list[float | None] = field(default_factory=list)
    validation_score: list[float | None] = field(default_factory=list)

    @classmethod
    def of(cls, history: pd.DataFrame, scoring: Scoring | None = None) -> Curves:
        """Put the two rows that `history` has of each epoch side by side; without `scoring`, of a classification."""
        scoring = scoring or scoring_of(CLASSIFICATION)
        columns: dict[str, Any] = {}
        epochs = sorted(set(history["epoch"]))
        for split in ("train", "validation"):
            rows = history[history["split"] == split].drop_duplicates("epoch", keep="last").set_index("epoch")
            for name, measure in (("loss", scoring.loss), ("score", scoring.score)):
                columns[f"{split}_{name}"] = [_finite(value) for value in rows[measure.name].reindex(epochs)]
        return cls(epoch=[int(epoch) for epoch in epochs], **columns)

    def of_split(self, split: str) -> tuple[list[float | None], list[float | None]]:
        """Loss and score of "train" or "validation"."""
        return getattr(self, f"{split}_loss"), getattr(self, f"{split}_score")


def mean_curves(runs: Sequence[Curves]) -> Curves:
    """The mean over runs, epoch by epoch, up to the last epoch that all of them reached.

    Beyond it the mean would jump whenever a seed stops. Runs without any epoch are left out.
    """
    with_epochs = [curves for curves in runs if curves.epoch]
    if not with_epochs:
        return Curves()
    common = sorted(set.intersection(*(set(curves.epoch) for curves in with_epochs)))
    columns = {}
    for name in CURVES:
        by_epoch = [dict(zip(curves.epoch, getattr(curves, name), strict=True)) for curves in with_epochs]
        columns[name] = [_mean([values[epoch] for values in by_epoch]) for epoch in common]
    return Curves(epoch=common, **columns)


def _mean(values: list[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if len(present) == len(values) else None


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
