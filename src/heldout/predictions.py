"""What a model says of each example of a split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def _nothing() -> np.ndarray:
    import numpy as np

    return np.empty(0)


@dataclass(frozen=True)
class Predictions:
    """Predictions of one split at the kept epoch; what a task does not have is empty.

    ids: str [n], unique. target: int64 [n], index into the record's classes, or float64 [n], a number.
    probabilities: float32 [n, classes]. columns: float64 [n] by name, what other tasks have: the `prediction` of a
    regression, or measures of single examples such as `loss`. texts: str [n] by name, such as a translation. reference:
    mean of train's target, against which numbers are scored; None takes that of these targets.
    """

    ids: np.ndarray
    target: np.ndarray = field(default_factory=_nothing)
    probabilities: np.ndarray = field(default_factory=_nothing)
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    reference: float | None = None
    texts: Mapping[str, np.ndarray] = field(default_factory=dict)
