"""Ranking measures against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from heldout.predictions import Predictions
from heldout.ranking import ndcg, recall
from heldout.scoring import scoring_of


def rows(user: list[int], target: list[float], prediction: list[float]) -> Predictions:
    ids = np.arange(len(user)).astype(str)
    columns = {"prediction": np.array(prediction), "user": np.array(user, dtype=float)}
    return Predictions(ids, np.array(target, dtype=float), columns=columns, reference=3.0)


def test_ndcg_agrees_with_scikit_learn_ties_included() -> None:
    """40 users of 15 items with ratings 1 to 5 and coarse predictions (seed 0)."""
    rng = np.random.default_rng(0)
    target = rng.integers(1, 6, (40, 15)).astype(float)
    prediction = np.round(target + rng.normal(0, 1.5, target.shape))
    user = np.repeat(np.arange(1, 41), 15)
    order = rng.permutation(600)
    found = ndcg(rows(user[order].tolist(), target.ravel()[order].tolist(), prediction.ravel()[order].tolist()))
    expected = [ndcg_score([t - 1], [p], k=10) for t, p in zip(target, prediction, strict=True)]
    np.testing.assert_allclose(found, expected)


def test_unknown_users_and_those_without_an_order_are_left_out() -> None:
    assert len(ndcg(rows([0, 0, 1, 2, 2], [1, 5, 4, 3, 3], [1, 2, 3, 4, 5]))) == 0
    assert scoring_of("recommendation").of(rows([1, 2], [1, 5], [1, 5])).keys() == {"loss", "r2", "rmse", "mae"}


def test_recall_is_of_users_with_more_than_ten_items() -> None:
    # of the 12 items of user 1 three are rated above 3: two stand first, one last
    target = [5, 4, *[1] * 9, 4]
    few = [5, 1]
    found = recall(rows([1] * 12 + [2] * 2, target + few, list(range(14, 0, -1))))
    assert found.tolist() == pytest.approx([2 / 3])


def test_predictions_that_are_all_equal_rank_as_chance_does() -> None:
    target = [5.0] + [1.0] * 19
    assert recall(rows([1] * 20, target, [2.0] * 20)).tolist() == pytest.approx([10 / 20])
