"""Tf-idf as a dense matrix. Imports scikit-learn, so it is imported where it is used."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfTransformer


class DenseTfidf(TfidfTransformer):  # type: ignore[misc]
    """For models that store what they were fitted to: a sparse matrix in a file could point outside of itself."""

    def transform(self, X: Any, copy: bool = True) -> np.ndarray:  # noqa: N803  scikit-learn calls it by this name
        """Float `[examples, tokens]`."""
        return np.asarray(super().transform(X, copy).toarray())
