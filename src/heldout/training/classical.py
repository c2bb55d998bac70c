"""Fits a classical baseline: once, without epochs, measured as a network is."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from heldout.config.model import BaselineConfig
from heldout.config.stages import TrainConfig
from heldout.data.store import Split
from heldout.models import baselines
from heldout.training import stop
from heldout.training.fitted import FitInputs, Fitted, LogMetrics, ReportEpoch, grouped

MODEL = "model.skops"


def fit_baseline(
    config: TrainConfig,
    data: FitInputs,
    seed: int,
    folder: Path,
    log: LogMetrics,
    report: ReportEpoch | None = None,
) -> Fitted:
    """Fits the baseline of `config` on train; its history has one epoch, of which `report` is told."""
    assert isinstance(config.model, BaselineConfig)
    started = time.monotonic()
    model = baselines.build(config.model, data.card, seed)
    with stop.at_once():
        model.fit(data.train.inputs, data.train.target)
    seconds = time.monotonic() - started
    splits = {"train": data.train_subset, "validation": data.validation}
    probabilities = {name: model.predict_proba(split.inputs) for name, split in splits.items()}
    measured = {name: measure(split, probabilities[name]) for name, split in splits.items()}
    log(grouped(measured), 1)
    if report is not None:
        report(1, measured["validation"], None)
    model.save(folder / MODEL)
    common = {"epoch": 1, "step": 1, "learning_rate": None, "seconds": seconds}
    return Fitted(
        history=[{**common, "split": name, **values} for name, values in measured.items()],
        probabilities=probabilities,
        kept_epoch=1,
        epochs=1,
        steps=1,
        parameters=model.parameters(),
        seconds=seconds,
        model_file=folder / MODEL,
    )


def measure(split: Split, probabilities: np.ndarray) -> dict[str, float]:
    """Log loss and accuracy of probabilities float [examples, classes] on a split.

    A probability of 0 for the right class counts as the smallest float32 step from 0 to 1, as scikit-learn's
    `log_loss` does, so that one sure mistake does not make the loss infinite.
    """
    rows = np.arange(len(split.target))
    likelihood = np.clip(probabilities[rows, split.target].astype(np.float64), np.finfo(np.float32).eps, 1.0)
    correct = probabilities.argmax(axis=1) == split.target
    return {"loss": float(-np.log(likelihood).mean()), "accuracy": float(correct.mean())}
