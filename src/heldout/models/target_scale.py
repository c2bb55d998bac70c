"""Numbers to predict, on the scale on which networks learn them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from heldout.data.card import Card


@dataclass(frozen=True)
class TargetScale:
    """A network's one output is standardised by mean and standard deviation of train's target.

    The way there and back is taken in float64: of targets far from 0, float32 would keep too few digits.
    """

    mean: float
    std: float

    @classmethod
    def of(cls, card: Card) -> TargetScale:
        """That of a data set whose target is a number."""
        return cls(card.target["mean"], card.target["std"])

    def standardised(self, target: np.ndarray) -> np.ndarray:
        """Float32 `[examples]` of mean 0 and deviation 1 over train."""
        return ((target - self.mean) / self.std).astype(np.float32)

    def restored(self, outputs: np.ndarray) -> np.ndarray:
        """Float64 `[examples]` in the unit of the target, from outputs `[examples, 1]` of a network."""
        return outputs.reshape(-1).astype(np.float64) * self.std + self.mean
