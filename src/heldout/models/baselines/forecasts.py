"""Forecasts of a channel of a series by its own past. Imports scikit-learn, so it is imported where it is used."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin


class LastValue(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Says that what a column of the features holds will stay; `mean` and `std` undo their standardisation."""

    def __init__(self, column: int, mean: float, std: float) -> None:
        self.column = column
        self.mean = mean
        self.std = std

    def fit(self, X: np.ndarray, y: np.ndarray) -> LastValue:  # noqa: N803  scikit-learn calls it by this name
        """Learns nothing."""
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Float64 `[examples]`."""
        return np.asarray(X[:, self.column], dtype=np.float64) * self.std + self.mean


class PastMeans(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The means of the last values of a channel over spans of several lengths; `end` is the column after its last."""

    def __init__(self, end: int, spans: list[int]) -> None:
        self.end = end
        self.spans = spans

    def fit(self, X: np.ndarray, y: Any = None) -> PastMeans:  # noqa: N803
        """Learns nothing."""
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Float64 `[examples, spans]`."""
        means = [X[:, self.end - span : self.end].mean(axis=1, dtype=np.float64) for span in self.spans]
        return np.stack(means, axis=1)
