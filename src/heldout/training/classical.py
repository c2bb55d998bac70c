"""Fits a classical baseline: once, without epochs, measured as a network is."""

from __future__ import annotations

import time
from pathlib import Path

from heldout.config.model import BaselineConfig
from heldout.config.stages import TrainConfig
from heldout.models import baselines
from heldout.scoring import GENERATION, scoring_of
from heldout.tasks.drawn import RealImages
from heldout.training import stop
from heldout.training.fitted import FitInputs, Fitted, LogMetrics, ReportEpoch, grouped
from heldout.training.predicting import baseline_predictor, drawn_by, pictures_of
from heldout.training.samples import samples_of

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
    real = RealImages(data.train, data.validation) if data.card.task == GENERATION else None
    predict = baseline_predictor(model, data.card, real)
    predicted = {name: predict(split) for name, split in splits.items()}
    scoring = scoring_of(data.card.task)
    measured = {name: scoring.of(one) for name, one in predicted.items()}
    log(grouped(measured), 1)
    if report is not None:
        report(1, measured["validation"], None)
    model.save(folder / MODEL)
    common = {"epoch": 1, "step": 1, "learning_rate": None, "seconds": seconds}
    return Fitted(
        history=[{**common, "split": name, **values} for name, values in measured.items()],
        predictions=predicted,
        kept_epoch=1,
        epochs=1,
        steps=1,
        parameters=model.parameters(),
        seconds=seconds,
        model_file=folder / MODEL,
        texts=samples_of(config.task, predicted["validation"]),
        pictures={} if real is None else pictures_of(drawn_by(model, data.card), real, config.task),
    )
