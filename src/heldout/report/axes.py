"""Where an axis begins and which values it names."""

from __future__ import annotations

import math
from collections.abc import Sequence

_STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def axis_floor(scores: Sequence[float]) -> float:
    """Lowest score worth a place on an axis: those much further from 1 than the median would squeeze the rest."""
    ordered = sorted(scores)
    if not ordered:
        return 0.0
    median = ordered[len(ordered) // 2]
    return median - max(3 * (1 - median), 0.05)


def round_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round values from `low` to `high`, at most `most`."""
    step = next((s for s in _STEPS if (high - low) / s <= most - 0.999), high - low)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 3) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def padded(low: float, high: float) -> tuple[float, float]:
    """The range with a margin of 6 % on either side."""
    margin = 0.06 * ((high - low) or 1.0)
    return low - margin, high + margin
