"""From the inputs of a data set to the matrix `[examples, features]` that scikit-learn reads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heldout.scoring import WRITTEN

if TYPE_CHECKING:
    from heldout.data.card import Card

Inputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Features:
    """How inputs become features.

    Images and series are standardised by channel, as networks see them, and flattened. A table keeps its numbers,
    NaN where missing, followed by the codes of its categories. A text becomes how often each token occurs in it; one
    to be continued keeps the order of its tokens, and one to be translated has those of its translation behind it,
    where there is one.
    """

    # of each channel, on the scale 0..1 for images; empty for tables
    mean: list[float]
    std: list[float]
    # number of tokens; 0 for what is no text
    vocabulary: int = 0
    in_order: bool = False

    @classmethod
    def of(cls, card: Card) -> Features:
        """The features of a data set."""
        statistics = card.statistics.get("x", {"mean": [], "std": []})
        return cls(statistics["mean"], statistics["std"], card.vocabulary, card.task in WRITTEN)

    def __call__(self, inputs: Inputs) -> np.ndarray:
        """Float32 `[examples, features]`; of tokens in order int32 `[examples, tokens]`, -1 behind their end."""
        if self.in_order:
            names = [name for name in ("tokens", "source", "translation") if name in inputs]
            lengths = [inputs["length" if name == "tokens" else f"{name}_length"] for name in names]
            return np.concatenate(
                [_marked(inputs[name], length) for name, length in zip(names, lengths, strict=True)], axis=1
            )
        if "x" in inputs:
            return self._grid(inputs)
        if "tokens" in inputs:
            return self._counts(inputs["tokens"], inputs["length"])
        parts = [inputs[name] for name in ("numeric", "categorical") if name in inputs]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def as_images(self, features: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Undo what was done to images: uint8 `[examples, channels, height, width]`, cut off at black and white."""
        channel = (-1, 1, 1)
        x = features.reshape(len(features), *shape) * np.reshape(self.std, channel) + np.reshape(self.mean, channel)
        return np.asarray((255 * x).round().clip(0, 255), dtype=np.uint8)

    def _counts(self, tokens: np.ndarray, length: np.ndarray) -> np.ndarray:
        counts = np.zeros((len(tokens), self.vocabulary), dtype=np.float32)
        valid = np.arange(tokens.shape[1]) < length[:, None]
        np.add.at(counts, (np.nonzero(valid)[0], tokens[valid]), 1)
        return counts

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


def _marked(tokens: np.ndarray, length: np.ndarray) -> np.ndarray:
    return np.where(np.arange(tokens.shape[1]) < length[:, None], tokens, -1)
