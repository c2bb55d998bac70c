"""Whether an example has any content that a model could learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heldout.data.statistics import valid_steps
from heldout.data.tokens import UNKNOWN


def is_empty(inputs: dict[str, np.ndarray], nothing: Sequence[int] = (UNKNOWN,)) -> np.ndarray:
    """True for each example without content, [n].

    nothing: tokens that say nothing of a text.

    An image is empty when each of its channels has one value everywhere, a series when each of its channels has over
    all its steps, a text when it has no known token, a table's row when every value is missing, a pair of texts when
    a side has no token.
    """
    empty: np.ndarray
    if "translation" in inputs:
        # separators alone
        return np.asarray((inputs["source_length"] <= 1) | (inputs["translation_length"] <= 2))
    if "tokens" in inputs:
        empty = ~(~np.isin(inputs["tokens"], nothing) & valid_tokens(inputs)).any(axis=1)
    elif "x" in inputs:
        empty = _without_change(inputs)
    else:
        columns = [np.isnan(inputs["numeric"])] if "numeric" in inputs else []
        columns += [inputs["categorical"] == 0] if "categorical" in inputs else []
        empty = np.concatenate(columns, axis=1).all(axis=1)
    return empty


def _without_change(inputs: dict[str, np.ndarray]) -> np.ndarray:
    x = inputs["x"]
    values = x.reshape(*x.shape[:2], -1)
    if values.shape[2] == 1:
        return np.zeros(len(x), dtype=bool)
    differs = values != values[:, :, :1]
    if x.ndim == 3:
        differs &= valid_steps(inputs)[:, None, :]
    return np.asarray(~differs.any(axis=(1, 2)))


def valid_tokens(inputs: dict[str, np.ndarray]) -> np.ndarray:
    """True where a token of a text is no padding, [n, tokens]."""
    return np.asarray(np.arange(inputs["tokens"].shape[1]) < inputs["length"][:, None])
