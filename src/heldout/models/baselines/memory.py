"""Translations without a network. Imports scikit-learn, so it is imported where it is used."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.feature_extraction.text import TfidfVectorizer

from heldout.data.tokens import SEPARATOR

# of the loss: the share of the proposed translation, beside the frequencies of tokens in train
PROPOSED = 0.5
# similarities held in memory at once
BLOCK = 4_000_000


class CopySource(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """The text as its own translation.

    Rows are those of heldout.models.baselines.features: `places` tokens of the text, then those of its translation,
    negative behind their ends.
    """

    def __init__(self, places: int, vocabulary: int) -> None:
        self.places = places
        self.vocabulary = vocabulary

    def fit(self, X: np.ndarray, y: Any = None) -> CopySource:  # noqa: N803  scikit-learn calls it by this name
        """Counts tokens of translations."""
        self.n_features_in_ = X.shape[1]
        written = X[:, self.places + 1 :]
        # each once more than it occurs, so that none is impossible
        counts = np.bincount(written[written >= 0], minlength=self.vocabulary) + 1
        self.frequency_ = counts / counts.sum()
        return self

    def translate(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Tokens of a translation of each text, with a separator at the end; negative behind it."""
        return np.asarray(X[:, : self.places])

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Loss of each given translation, float64 [n], in nats.

        A token is as likely as it is frequent, half in the proposed translation and half in train: what is proposed
        makes no statement on probabilities, and this is the plainest one that can be made of it.
        """
        losses = np.empty(len(X))
        for row, (proposed, given) in enumerate(zip(self.translate(X), X[:, self.places + 1 :], strict=True)):
            proposed, given = proposed[proposed >= 0], given[given >= 0]
            share = (proposed[:, None] == given).mean(axis=0)
            losses[row] = -np.log(PROPOSED * share + (1 - PROPOSED) * self.frequency_[given]).sum()
        return losses


class TranslationMemory(CopySource):
    """The translation of the text of train that is most alike: nearest by the cosine of tf-idf weights.

    Weights are of runs of up to `longest_run` tokens. Of texts that are equally near the first; where train has
    nothing in common with a text, it stays as it is.
    """

    def __init__(self, places: int, vocabulary: int, longest_run: int) -> None:
        super().__init__(places, vocabulary)
        self.longest_run = longest_run

    def fit(self, X: np.ndarray, y: Any = None) -> TranslationMemory:  # noqa: N803
        """Remembers train."""
        super().fit(X, y)
        self.vectors_ = TfidfVectorizer(
            lowercase=False, token_pattern=r"\S+", ngram_range=(1, self.longest_run), sublinear_tf=True
        )
        self.sources_ = X[:, : self.places]
        self.vectors_.fit(_words(self.sources_))
        # without the separator that a translation begins with
        self.translations_ = X[:, self.places + 1 :]
        return self

    def translate(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """That of the nearest text, as CopySource has it."""
        copied = super().translate(X)
        known, wanted = (self.vectors_.transform(_words(texts)) for texts in (self.sources_, copied))
        width = max(copied.shape[1], self.translations_.shape[1])
        found = np.full((len(X), width), -1, dtype=X.dtype)
        found[:, : copied.shape[1]] = copied
        step = max(1, BLOCK // len(self.sources_))
        for start in range(0, len(X), step):
            likeness = (wanted[start : start + step] @ known.T).toarray()
            rows = start + np.flatnonzero(likeness.max(axis=1) > 0)
            nearest = likeness.argmax(axis=1)[rows - start]
            found[rows] = -1
            found[rows[:, None], np.arange(self.translations_.shape[1])] = self.translations_[nearest]
        return found


def _words(tokens: np.ndarray) -> list[str]:
    """Tokens as texts of numbers; the end, which all have, is left out."""
    return [" ".join(str(token) for token in row if token >= 0 and token != SEPARATOR) for row in tokens.tolist()]
