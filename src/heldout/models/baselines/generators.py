"""Distributions from which images are drawn. Imports scikit-learn, so it is imported where it is used.

Each is fitted to features float `[examples, features]` and draws a row of them for each seed, int64 `[n]`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.mixture import GaussianMixture as Mixture

from heldout.models.seeded import choices, normals


class GaussianMixture(BaseEstimator):  # type: ignore[misc]
    """Normal distributions with covariances of their own; one is a multivariate normal distribution.

    Fitted by expectation maximisation (Dempster, Laird and Rubin 1977), with `regularisation` added to each variance.
    """

    def __init__(self, components: int, regularisation: float, seed: int) -> None:
        self.components = components
        self.regularisation = regularisation
        self.seed = seed

    def fit(self, X: np.ndarray, y: Any = None) -> GaussianMixture:  # noqa: N803  scikit-learn calls it by this name
        """Keeps weights, means and factors of the covariances."""
        count = min(self.components, len(X))
        found = Mixture(count, reg_covar=self.regularisation, random_state=self.seed).fit(X.astype(np.float64))
        self.weights_, self.means_ = found.weights_, found.means_
        self.factors_ = np.linalg.cholesky(found.covariances_)
        return self

    def draw(self, seeds: np.ndarray) -> np.ndarray:
        """Float64 `[n, features]`."""
        component = choices(seeds, self.weights_)[:, 0]
        noise = normals(seeds, self.means_.shape[1])
        drawn = np.empty(noise.shape)
        for one in np.unique(component):
            rows = component == one
            drawn[rows] = self.means_[one] + noise[rows] @ self.factors_[one].T
        return drawn


class KernelDensity(BaseEstimator):  # type: ignore[misc]
    """A normal kernel around each example of train (Parzen 1962): one of them, and noise of deviation `bandwidth`."""

    def __init__(self, bandwidth: float) -> None:
        self.bandwidth = bandwidth

    def fit(self, X: np.ndarray, y: Any = None) -> KernelDensity:  # noqa: N803
        """Keeps train."""
        self.train_ = X.astype(np.float32)
        return self

    def draw(self, seeds: np.ndarray) -> np.ndarray:
        """Float64 `[n, features]`."""
        rows = choices(seeds, np.ones(len(self.train_)))[:, 0]
        return np.asarray(self.train_[rows] + self.bandwidth * normals(seeds, self.train_.shape[1]), dtype=np.float64)


class IndependentPixels(BaseEstimator):  # type: ignore[misc]
    """Each feature has a value of some example of train, whatever the others have."""

    def fit(self, X: np.ndarray, y: Any = None) -> IndependentPixels:  # noqa: N803
        """Keeps train."""
        self.train_ = X.astype(np.float32)
        return self

    def draw(self, seeds: np.ndarray) -> np.ndarray:
        """Float64 `[n, features]`."""
        rows = choices(seeds, np.ones(len(self.train_)), self.train_.shape[1])
        return np.asarray(np.take_along_axis(self.train_, rows, axis=0), dtype=np.float64)
