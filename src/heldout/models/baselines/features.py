"""From the inputs of a data set to the matrix `[examples, features]` that scikit-learn reads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from heldout.data.card import Card

Inputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Features:
    """How inputs become features.

    Images and series are standardised by channel, as networks see them, and flattened. A table keeps its numbers,
    NaN where missing, followed by the codes of its categories.
    """

    # of each channel, on the scale 0..1 for images; empty for tables
    mean: list[float]
    std: list[float]

    @classmethod
    def of(cls, card: Card) -> Features:
        """The features of a data set."""
        statistics = card.statistics.get("x", {"mean": [], "std": []})
        return cls(statistics["mean"], statistics["std"])

    def __call__(self, inputs: Inputs) -> np.ndarray:
        """Float32 `[examples, features]`."""
        if "x" in inputs:
            return self._grid(inputs)
        parts = [inputs[name] for name in ("numeric", "categorical") if name in inputs]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def _grid(self, inputs: Inputs) -> np.ndarray:
        x = inputs["x"]
        unit = 255 if x.dtype == np.uint8 else 1
        channel = (-1,) + (1,) * (x.ndim - 2)
        mean = np.reshape(self.mean, channel).astype(np.float32)
        std = np.reshape(self.std, channel).astype(np.float32)
        x = (x / np.float32(unit) - mean) / std
        if "length" in inputs:
            valid = np.arange(x.shape[2]) < inputs["length"][:, None]
            x = np.where(valid[:, None, :], x, np.float32(0))
        return x.reshape(len(x), math.prod(x.shape[1:]))
