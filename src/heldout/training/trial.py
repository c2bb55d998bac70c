"""A training as the trial of a sweep: what it is told, and whom it tells. Knows no sweeper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heldout.training.fitted import ReportEpoch

TRIAL_TAG = "heldout.trial"
OUTCOME_TAG = "heldout.outcome"
# seconds to wait for the process that ran a trial before: it may outlive the driver, and the head, of its cluster
TRIAL_PATIENCE = 90.0


@dataclass(frozen=True)
class Trial:
    """One trial.

    params: the searched keys and their values. folds: of cross-validation, None without. report: called after each
    epoch, or, where a trial makes several fits, after each of them; raises `pruned` when the trial is to end.
    checkpoint: folder to go on from, as `report` was given to save; None at a first start. start_epoch: of that
    checkpoint. log_models: to MLflow. changes_values: whether searched values may change between two starts.
    """

    number: int
    sweep: str
    params: Mapping[str, Any]
    report: ReportEpoch
    pruned: type[Exception]
    folds: int | None = None
    checkpoint: Path | None = None
    start_epoch: int = 0
    log_models: bool = False
    changes_values: bool = False

    @property
    def tags(self) -> dict[str, str]:
        return {TRIAL_TAG: str(self.number), "heldout.sweep": self.sweep}


@dataclass(frozen=True)
class Fit:
    """One of the fits of a configuration."""

    seed: int
    fold: int | None = None

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"seed-{self.seed}" if self.fold is None else f"seed-{self.seed}-fold-{self.fold}"

    @property
    def title(self) -> str:
        return self.name.replace("-", " ", 1).replace("-fold-", " fold ")


def fits_of(seeds: list[int], trial: Trial | None) -> list[Fit]:
    """Once a seed; in a cross-validated trial, once a seed and fold."""
    if trial is None or trial.folds is None:
        return [Fit(seed) for seed in seeds]
    return [Fit(seed, fold) for seed in seeds for fold in range(trial.folds)]
