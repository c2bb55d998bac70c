"""Gaps from planted predictions and histories."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.analysis.synthetic import Plan, plant

from heldout.analysis.gap import end_gaps, kept_gaps
from heldout.analysis.intervals import BOOTSTRAP, NEWCOMBE
from heldout.config.analysis import AnalysisConfig
from heldout.record import Predictions, Record

CFG = AnalysisConfig()


def answers(right: int, of: int) -> Predictions:
    probabilities = np.tile(np.array([[0.9, 0.1]], dtype=np.float32), (of, 1))
    target = np.array([0] * right + [1] * (of - right))
    return Predictions(np.arange(of).astype(str), target, probabilities)


def test_gaps_are_train_minus_validation_with_an_interval_around() -> None:
    accuracy, loss = kept_gaps(answers(190, 200), answers(240, 300), 7, CFG, np.random.default_rng(0))
    assert (accuracy.metric, accuracy.at, accuracy.epoch) == ("accuracy", "kept", 7)
    assert (accuracy.train, accuracy.validation) == (0.95, 0.8)
    assert accuracy.value.value == pytest.approx(0.15)
    # normal theory: sqrt(0.95 * 0.05 / 200 + 0.8 * 0.2 / 300) = 0.0278
    assert accuracy.value.low == pytest.approx(0.15 - 1.96 * 0.0278, abs=0.01)
    assert accuracy.value.high == pytest.approx(0.15 + 1.96 * 0.0278, abs=0.01)
    assert loss.value.value == pytest.approx(-0.15 * np.log(9), rel=1e-5)
    assert loss.value.high < 0
    assert accuracy.value.method == loss.value.method == BOOTSTRAP


def test_a_faultless_validation_set_does_not_give_an_empty_interval() -> None:
    accuracy, _ = kept_gaps(answers(200, 200), answers(40, 40), 1, CFG, np.random.default_rng(0))
    assert accuracy.value.method == NEWCOMBE
    assert accuracy.value.value == 0
    assert accuracy.value.high > 0.05


def test_gaps_at_the_end_come_from_counts() -> None:
    train, validation = {"accuracy": 0.8, "loss": 0.1}, {"accuracy": 0.6, "loss": 0.9}
    accuracy, loss = end_gaps(train, validation, {"train": 70, "validation": 80}, 30, CFG)
    # Newcombe 1998 (Statistics in Medicine 17:873), table II, method 10: example (a), 56/70 - 48/80
    assert (round(accuracy.value.low, 4), round(accuracy.value.high, 4)) == (0.0524, 0.3339)
    assert loss.value.value == pytest.approx(-0.8)
    assert loss.value.low is None
    assert "no interval" in loss.value.method


def test_history_and_predictions_of_a_record_agree_at_the_kept_epoch(tmp_path: Path) -> None:
    record = Record.load(plant(tmp_path, Plan(onset=12)))
    history = record.history
    at_kept = history[history["epoch"] == record.info["kept_epoch"]].set_index("split")
    train, validation = record.predictions_of("train"), record.predictions_of("validation")
    gaps = kept_gaps(train, validation, record.info["kept_epoch"], CFG, np.random.default_rng(0))
    for gap in gaps:
        assert gap.train == pytest.approx(at_kept.at["train", gap.metric], abs=1e-6)
        assert gap.validation == pytest.approx(at_kept.at["validation", gap.metric], abs=1e-6)
