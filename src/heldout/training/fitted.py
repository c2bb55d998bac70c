"""What one fit hands to the record, deep or classical."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heldout.data.card import Card
from heldout.data.store import Split
from heldout.inside import Cost, Layer
from heldout.predictions import Predictions

# logs metrics by name at an epoch
LogMetrics = Callable[[dict[str, float], int], None]
# writes a checkpoint into a folder
SaveCheckpoint = Callable[[Path], None]
# tells a sweep the epoch, the validation metrics at the epoch that would be kept, and how to save this state
ReportEpoch = Callable[[int, dict[str, float], SaveCheckpoint | None], None]


@dataclass(frozen=True)
class FitInputs:
    """The data of a fit: train, the fixed part of train on which the gap is measured, and validation."""

    card: Card
    train: Split
    train_subset: Split
    validation: Split


@dataclass(frozen=True)
class Started:
    """Weights that a network began with: where from, the hash of their file, how many of its tensors they fill."""

    weights: str
    sha256: str
    tensors: int
    of: int


@dataclass(frozen=True)
class FromInside:
    """What is known of the inside of a network: its layers, its cost, and a row a look and layer."""

    layers: list[Layer]
    cost: Cost
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Fitted:
    """The outcome of a fit.

    history: a row per epoch and split. predictions: by split, at the kept epoch. seconds: of fitting, measuring
    included. inside: of a network that was looked into. texts: what a model has written, by file name; pictures: what
    it has drawn. started_from: the weights that it began with, unless it began at random.
    """

    history: list[dict[str, Any]]
    predictions: dict[str, Predictions]
    kept_epoch: int
    epochs: int
    steps: int
    parameters: int | None
    seconds: float
    model_file: Path
    inside: FromInside | None = None
    texts: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)
    started_from: Started | None = None


def grouped(measured: dict[str, dict[str, float]]) -> dict[str, float]:
    """Metrics by split as `split/name`, and their gaps as `gap/name`: a slash makes a group in the MLflow UI.

    A gap is train minus validation: of accuracy or R² it is positive, of a loss negative, when a model overfits.
    """
    values = {f"{split}/{name}": value for split, of in measured.items() for name, value in of.items()}
    for name, value in measured["train"].items():
        # what ranks may have nobody to be measured on in one of the two
        if name not in measured["validation"]:
            continue
        values[f"gap/{name}"] = value - measured["validation"][name]
    return values
