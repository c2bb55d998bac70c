"""What is measured from the record of one finished run."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heldout.analysis.calibration import expected_calibration_error
from heldout.analysis.curves import Curves
from heldout.analysis.gap import Gap, end_gaps, kept_gaps
from heldout.analysis.intervals import Estimate, proportion
from heldout.analysis.metrics import Chance, correct, log_loss
from heldout.analysis.onset import Onset, find_onset
from heldout.config.analysis import AnalysisConfig
from heldout.record import Record, RecordError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Measures:
    """What is measured from the predictions and the history of a finished run.

    examples, accuracy and loss are by split, at the kept epoch; loss is the mean log loss in nats; gaps are
    those of accuracy and loss, at the kept epoch and after the last; calibration_error is that on
    validation.
    """

    kept_epoch: int
    epochs: int
    examples: dict[str, int]
    accuracy: dict[str, Estimate]
    loss: dict[str, float]
    gaps: list[Gap]
    onset: Onset
    chance: Chance
    calibration_error: float

    def gap(self, metric: str, at: str) -> Gap:
        """The gap of `metric` ("accuracy", "loss") at "kept" or "end"."""
        return next(gap for gap in self.gaps if (gap.metric, gap.at) == (metric, at))


def measure(record: Record, cfg: AnalysisConfig) -> Measures:
    """Measure a finished run; raises RecordError when a file is missing or malformed."""
    splits = dict.fromkeys(("train", "validation", *record.prediction_splits))
    predictions = {split: record.predictions_of(split) for split in splits}
    train, validation = predictions["train"], predictions["validation"]
    history = record.history
    if history.empty:
        raise RecordError(f"{record.path}: the history has no rows, yet the run is {record.info['status']}")
    right = {split: correct(rows) for split, rows in predictions.items()}
    examples = {split: len(values) for split, values in right.items()}
    kept_epoch, epochs = int(record.info.get("kept_epoch") or 1), int(history["epoch"].max())
    gaps = kept_gaps(train, validation, kept_epoch, cfg, _generator(record, cfg))
    last = _last_epoch(history, record)
    return Measures(
        kept_epoch=kept_epoch,
        epochs=epochs,
        examples=examples,
        accuracy={s: proportion(v.sum(), len(v), cfg.confidence) for s, v in right.items()},
        loss={split: float(log_loss(rows).mean()) for split, rows in predictions.items()},
        gaps=gaps + end_gaps(last["train"], last["validation"], examples, epochs, cfg),
        onset=_onset(Curves.of(history), cfg),
        chance=Chance.of(train.target, validation.target, len(record.info["classes"])),
        calibration_error=expected_calibration_error(validation, cfg.calibration_bins),
    )


def _last_epoch(history: pd.DataFrame, record: Record) -> dict[str, dict[str, float]]:
    last = history[history["epoch"] == history["epoch"].max()].drop_duplicates("split", keep="last").set_index("split")
    values = last.reindex(["train", "validation"])[["loss", "accuracy"]]
    if not np.isfinite(values.to_numpy(dtype=float)).all():
        raise RecordError(
            f"{record.path}: the last epoch of the history lacks a finite loss or accuracy of train or validation; "
            "a finished run has both"
        )
    return {
        str(split): {str(metric): float(value) for metric, value in row.items()} for split, row in values.iterrows()
    }


def _onset(curves: Curves, cfg: AnalysisConfig) -> Onset:
    if len(curves.epoch) == 1:
        return Onset(None, reason="fitted in one go, without epochs")
    train, validation = (np.array(c, dtype=float) for c in (curves.train_loss, curves.validation_loss))
    return find_onset(
        np.array(curves.epoch), train, validation, cfg.confidence, cfg.onset_smoothing, cfg.onset_min_epochs
    )


def _generator(record: Record, cfg: AnalysisConfig) -> np.random.Generator:
    """A generator of the run's own: adding or removing other records changes nothing for this one."""
    name = f"{record.info['data']}/{record.info['name']}"
    return np.random.default_rng([cfg.seed, zlib.crc32(name.encode()), abs(record.info["seed"])])
