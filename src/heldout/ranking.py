"""How well predicted ratings rank the items of a user: over the items that the user rated in a split.

What a user did not rate is not ranked: nobody knows what its rating would have been. Users whom train does not hold, of
code 0, are left out. Items of equal prediction count as their mean, as if they stood in every order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from heldout.predictions import Predictions

FIRST = 10


def ndcg(predictions: Predictions) -> np.ndarray:
    """Normalised discounted cumulative gain of the first ten, of each user with two different ratings; [users].

    Järvelin and Kekäläinen 2002 (ACM Transactions on Information Systems 20): the gain of an item is its rating above
    the lowest of the split, discounted by log2(1 + rank); 1 is the best order. Ties as in McSherry and Najork 2008.
    """
    lowest = predictions.target.min()
    found = []
    for rating, score in _of_users(predictions):
        if rating.min() < rating.max():
            gain = rating - lowest
            discount = 1 / np.log2(2 + np.arange(min(FIRST, len(gain))))
            best = np.sort(gain)[::-1]
            found.append(_cumulated(_ranked(gain, score), discount) / _cumulated(best, discount))
    return np.array(found)


def recall(predictions: Predictions) -> np.ndarray:
    """Share of a user's relevant items that are among the first ten; [users].

    Relevant is what is rated above the mean of train. Of users with more than ten items, one of them relevant: of
    others the first ten hold everything.
    """
    found = []
    for rating, score in _of_users(predictions):
        relevant = (rating > predictions.reference).astype(float)
        if len(rating) > FIRST and relevant.any():
            found.append(_ranked(relevant, score)[:FIRST].sum() / relevant.sum())
    return np.array(found)


def _of_users(predictions: Predictions) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Ratings and predictions of each known user."""
    user = predictions.columns["user"]
    order = np.argsort(user, kind="stable")
    starts = np.flatnonzero(np.diff(user[order])) + 1
    for rows in np.split(order, starts):
        if user[rows[0]] > 0:
            yield predictions.target[rows], predictions.columns["prediction"][rows]


def _ranked(gain: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Gains by descending score; those of equal score as their mean."""
    _, tie = np.unique(-score, return_inverse=True)
    mean = np.bincount(tie, weights=gain) / np.bincount(tie)
    return np.asarray(mean[np.sort(tie)])


def _cumulated(gain: np.ndarray, discount: np.ndarray) -> float:
    return float(gain[: len(discount)] @ discount)
