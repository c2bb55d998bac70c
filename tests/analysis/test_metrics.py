"""Metrics of examples, chance and calibration."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss as reference_log_loss

from heldout.analysis.calibration import expected_calibration_error
from heldout.analysis.metrics import Chance, correct, log_loss
from heldout.record import Predictions


def predictions(probabilities: list[list[float]] | np.ndarray, target: list[int] | np.ndarray) -> Predictions:
    target = np.asarray(target)
    return Predictions(np.arange(len(target)).astype(str), target, np.asarray(probabilities, dtype=np.float32))


def test_loss_and_accuracy_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    probabilities, target = rng.dirichlet(np.ones(4), 500), rng.integers(0, 4, 500)
    rows = predictions(probabilities, target)
    expected = reference_log_loss(target, probabilities, labels=range(4))
    assert log_loss(rows).mean() == pytest.approx(expected, rel=1e-5)
    assert correct(rows).mean() == np.mean(probabilities.argmax(1) == target)


def test_a_class_given_no_chance_costs_a_finite_loss() -> None:
    assert log_loss(predictions([[0.0, 1.0]], [0]))[0] == pytest.approx(15.94, abs=0.01)


def test_chance_is_the_better_of_majority_and_guessing() -> None:
    train = np.array([0] * 70 + [1] * 30)
    imbalanced = Chance.of(train, np.array([0] * 60 + [1] * 40), 2)
    assert (imbalanced.level, imbalanced.majority) == (0.6, True)
    # the class that is most frequent in train is rare in validation: guessing does better
    shifted = Chance.of(train, np.array([0] * 20 + [1] * 80), 2)
    assert (shifted.level, shifted.majority) == (0.5, False)


def test_lift_runs_from_chance_to_one() -> None:
    chance = Chance(0.6, True)
    assert [round(chance.lift(score), 9) for score in (0.6, 0.8, 1.0, 0.2)] == [0, 0.5, 1, -1]
    assert Chance(1.0, True).lift(1.0) == 0


def test_calibration_error_of_a_planted_overconfidence() -> None:
    # confidence drawn evenly from 0.6..1.0 and right 0.2 less often than that: the error is 0.2
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.6, 1.0, 200_000)
    right = rng.random(200_000) < confidence - 0.2
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    assert expected_calibration_error(predictions(probabilities, (~right).astype(int)), 15) == pytest.approx(
        0.2, abs=0.005
    )


def test_calibration_error_of_hand_made_bins() -> None:
    # two bins: 0.6 twice, one right (|0.6 - 0.5| = 0.1); 1.0 twice, both right (0)
    rows = predictions([[0.6, 0.4], [0.6, 0.4], [1.0, 0.0], [1.0, 0.0]], [0, 1, 0, 0])
    assert expected_calibration_error(rows, 5) == pytest.approx(0.05, abs=1e-6)
