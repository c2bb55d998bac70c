"""The measures of each task against references."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score, root_mean_squared_error

from heldout.predictions import Predictions
from heldout.scoring import SCORINGS, scoring_of


def numbers(reference: float | None) -> Predictions:
    """500 numbers and what a fair model says of them (seed 0)."""
    rng = np.random.default_rng(0)
    target = rng.normal(50, 7, 500)
    return Predictions(
        np.arange(500).astype(str),
        target,
        columns={"prediction": target + rng.normal(0, 4, 500)},
        reference=reference,
    )


def test_measures_of_a_regression_agree_with_scikit_learn() -> None:
    rows = numbers(None)
    target, said = rows.target, rows.columns["prediction"]
    assert scoring_of("regression").of(rows) == pytest.approx(
        {
            "loss": mean_squared_error(target, said),
            "r2": r2_score(target, said),
            "rmse": root_mean_squared_error(target, said),
            "mae": mean_absolute_error(target, said),
        }
    )


def test_r2_is_measured_from_the_mean_of_train() -> None:
    """Campbell and Thompson 2008: always saying that mean gives 0, on whatever examples."""
    rows = numbers(45.0)
    of_mean = Predictions(rows.ids, rows.target, columns={"prediction": np.full(500, 45.0)}, reference=45.0)
    score = scoring_of("regression").score
    assert score(of_mean) == pytest.approx(0, abs=1e-12)
    expected = 1 - ((rows.columns["prediction"] - rows.target) ** 2).sum() / ((rows.target - 45) ** 2).sum()
    assert score(rows) == pytest.approx(expected)


def test_where_nothing_differs_nothing_is_explained() -> None:
    rows = Predictions(np.array(["a", "b"]), np.ones(2), columns={"prediction": np.zeros(2)}, reference=1.0)
    assert scoring_of("regression").score(rows) == 0


def test_a_record_that_names_no_task_is_one_of_a_classification() -> None:
    assert scoring_of(None) is SCORINGS["classification"]


@pytest.mark.parametrize("task", SCORINGS)
def test_every_task_can_be_judged(task: str) -> None:
    scoring = scoring_of(task)
    assert scoring.score.higher_is_better
    assert not scoring.loss.higher_is_better
    # gaps, intervals and lifts are made of single examples
    assert scoring.score.of_mean is scoring.loss.of_mean is float
    assert len(set(scoring.names)) == len(scoring.names)
