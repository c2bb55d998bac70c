"""What is measured from the record of one finished run."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heldout.analysis.calibration import expected_calibration_error
from heldout.analysis.curves import Curves
from heldout.analysis.gap import Gap, end_gaps, kept_gaps
from heldout.analysis.intervals import Estimate, mean_of_examples, proportion
from heldout.analysis.metrics import Chance
from heldout.analysis.onset import Onset, find_onset
from heldout.config.analysis import AnalysisConfig
from heldout.predictions import Predictions
from heldout.record import Record, RecordError
from heldout.scoring import Scoring, scoring_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Measures:
    """What is measured from the predictions and the history of a finished run.

    task: see heldout.scoring. examples, score, loss and others are by split, at the kept epoch; others has what the
    task reports beside score and loss, by name; drawn the same with intervals, where a model draws examples. gaps are
    those of score and loss, at the kept epoch and after the last, and of what a critic says.
    calibration_error is that on validation; None unless classes were predicted.
    """

    task: str
    kept_epoch: int
    epochs: int
    examples: dict[str, int]
    score: dict[str, Estimate]
    loss: dict[str, float]
    others: dict[str, dict[str, float]]
    drawn: dict[str, dict[str, Estimate]]
    gaps: list[Gap]
    onset: Onset
    chance: Chance
    calibration_error: float | None

    @property
    def scoring(self) -> Scoring:
        """How the task is scored."""
        return scoring_of(self.task)

    def gap(self, metric: str, at: str) -> Gap:
        """The gap of a measure by its name, or of "score" or "loss", at "kept" or "end"."""
        names = {"score": self.scoring.score.name, "loss": self.scoring.loss.name}
        return next(gap for gap in self.gaps if (gap.metric, gap.at) == (names.get(metric, metric), at))


def measure(record: Record, cfg: AnalysisConfig) -> Measures:
    """Measure a finished run; raises RecordError when a file is missing or malformed."""
    splits = dict.fromkeys(("train", "validation", *record.prediction_splits))
    predictions = {split: record.predictions_of(split) for split in splits}
    train, validation = predictions["train"], predictions["validation"]
    history = record.history
    if history.empty:
        raise RecordError(f"{record.path}: the history has no rows, yet the run is {record.info['status']}")
    scoring = record.scoring
    examples = {split: len(rows.ids) for split, rows in predictions.items()}
    kept_epoch, epochs = int(record.info.get("kept_epoch") or 1), int(history["epoch"].max())
    rng = _generator(record, cfg)
    gaps = kept_gaps(train, validation, kept_epoch, cfg, rng, scoring)
    last = _last_epoch(history, record)
    return Measures(
        task=scoring.task,
        kept_epoch=kept_epoch,
        epochs=epochs,
        examples=examples,
        score={split: _score(scoring, rows, cfg, rng) for split, rows in predictions.items()},
        loss={split: float(scoring.loss.of_examples(rows).mean()) for split, rows in predictions.items()},
        others=_others(scoring, predictions),
        drawn=_drawn(scoring, predictions, cfg, rng) if scoring.draws else {},
        gaps=gaps + end_gaps(last["train"], last["validation"], examples, epochs, cfg, scoring),
        onset=_onset(Curves.of(history, scoring), cfg),
        chance=Chance.of_task(scoring, train, validation, len(record.info.get("classes", []))),
        calibration_error=expected_calibration_error(validation, cfg.calibration_bins) if scoring.is_share else None,
    )


def _others(scoring: Scoring, predictions: dict[str, Predictions]) -> dict[str, dict[str, float]]:
    found = {split: scoring.others_of(rows) for split, rows in predictions.items()}
    by_name = {one.name: {s: of[one.name] for s, of in found.items() if one.name in of} for one in scoring.others}
    return {name: of for name, of in by_name.items() if of}


def _drawn(
    scoring: Scoring, predictions: dict[str, Predictions], cfg: AnalysisConfig, rng: np.random.Generator
) -> dict[str, dict[str, Estimate]]:
    """By measure and split, with intervals over examples and what is drawn beside them."""
    return {
        measure.name: {
            split: mean_of_examples(measure.of_examples(rows), cfg.confidence, cfg.bootstrap_samples, rng)
            for split, rows in predictions.items()
        }
        for measure in scoring.others
        if len(measure.of_examples(predictions["validation"]))
    }


def _score(scoring: Scoring, rows: Predictions, cfg: AnalysisConfig, rng: np.random.Generator) -> Estimate:
    values = scoring.score.of_examples(rows)
    if scoring.is_share:
        return proportion(values.sum(), len(values), cfg.confidence)
    return mean_of_examples(values, cfg.confidence, cfg.bootstrap_samples, rng)


def _last_epoch(history: pd.DataFrame, record: Record) -> dict[str, dict[str, float]]:
    last = history[history["epoch"] == history["epoch"].max()].drop_duplicates("split", keep="last").set_index("split")
    loss, score = record.scoring.loss.name, record.scoring.score.name
    values = last.reindex(["train", "validation"])[[loss, score]]
    if not np.isfinite(values.to_numpy(dtype=float)).all():
        raise RecordError(
            f"{record.path}: the last epoch of the history lacks a finite {loss} or {score} of train or validation; "
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
