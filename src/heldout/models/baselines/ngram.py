"""Language models by counting. Imports scikit-learn, so it is imported where it is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from heldout.data.tokens import SEPARATOR

# of a discount, where so few n-grams occur once that nothing would be left for those that train does not hold
LEAST_DISCOUNT = 0.1


class NGram(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """The next token from the last `order - 1` of the same text, by interpolated Kneser-Ney smoothing.

    Chen and Goodman 1999 (Computer Speech and Language 13), section 2.7: the counts of shorter n-grams are those of the
    different tokens before them; one discount an order, by Ney, Essen and Kneser 1994. Under unigrams lies the uniform
    distribution. Texts are rows of tokens int [n, places], negative behind their end, as in heldout.data.packing.
    """

    def __init__(self, order: int, vocabulary: int) -> None:
        self.order = order
        self.vocabulary = vocabulary

    def fit(self, X: np.ndarray, y: Any = None) -> NGram:  # noqa: N803  scikit-learn calls it by this name
        """Counts."""
        self.n_features_in_ = X.shape[1]
        # by order: the n-grams, sorted, each as index of its context * vocabulary + token
        self.keys_: list[np.ndarray] = []
        grams: list[np.ndarray] = []
        for context, token in self._contexts(X):
            keys = np.where(context >= 0, context * self.vocabulary + token, -1)
            self.keys_.append(np.unique(keys[keys >= 0]))
            grams.append(_found(self.keys_[-1], keys))
        self.counts_ = [self._counts(grams, order) for order in range(self.order)]
        self.discounts_ = [_discount(counts) for counts in self.counts_]
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Loss of each text, float64 [n], in nats."""
        losses = -np.log(self.probabilities(X))
        return np.asarray(np.where(X[:, 1:] >= 0, losses, 0.0).sum(axis=1))

    def probabilities(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Of each token but the first, given those before it; float64 [n, places - 1]."""
        found = np.full((len(X), X.shape[1] - 1), 1 / self.vocabulary)
        levels = zip(self._contexts(X), self.keys_, self.counts_, self.discounts_, strict=True)
        for (context, token), keys, counts, discount in levels:
            contexts = keys // self.vocabulary
            total, kinds = np.bincount(contexts, counts), np.bincount(contexts)
            known = (context >= 0) & (context < len(total))
            known[known] = total[context[known]] > 0
            gram = _found(keys, np.where(known, context * self.vocabulary + token, -1))[known]
            count = np.where(gram >= 0, counts[gram], 0)
            context = context[known]
            left = discount * kinds[context] / total[context]
            found[known] = np.maximum(count - discount, 0) / total[context] + left * found[known]
        return found

    def _contexts(self, X: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:  # noqa: N803
        """By order, for each token but the first: index of the tokens before it among shorter n-grams, and the token.

        The index is -1 where the text, or the row, does not reach back so far, or train does not hold them.
        """
        tokens = X.astype(np.int64)
        token = np.maximum(tokens[:, 1:], 0)
        there = tokens[:, 1:] >= 0
        context = np.where(there, 0, -1)
        for order in range(self.order):
            yield context, token
            # as context of the next token, which for the first order is the token itself, wherever it stands
            if order == 0:
                last = tokens[:, :-1]
            else:
                gram = _found(self.keys_[order], np.where(context >= 0, context * self.vocabulary + token, -1))
                # what stands before a separator belongs to another text
                gram = np.where(token == SEPARATOR, -1, gram)
                last = np.concatenate([np.full((len(gram), 1), -1), gram[:, :-1]], axis=1)
            context = np.where(there, last, -1)

    def _counts(self, grams: list[np.ndarray], order: int) -> np.ndarray:
        """Of the longest n-grams how often they occur; of others how many tokens stand before them.

        Where nothing can stand before one, at the beginning of a text, each time counts.
        """
        mine = grams[order]
        size = len(self.keys_[order])
        if order == self.order - 1:
            return np.bincount(mine[mine >= 0], minlength=size)
        longer = grams[order + 1]
        alone = mine[(mine >= 0) & (longer < 0)]
        pairs = np.unique(np.stack([longer[longer >= 0], mine[longer >= 0]]), axis=1)
        return np.bincount(alone, minlength=size) + np.bincount(pairs[1], minlength=size)


def _found(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Places of `wanted` in the sorted `keys`; -1 of what is not there."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


def _discount(counts: np.ndarray) -> float:
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return max(LEAST_DISCOUNT, once / (once + 2 * twice)) if once else LEAST_DISCOUNT
