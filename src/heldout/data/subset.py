"""The part of train on which the gap is measured."""

from __future__ import annotations

import numpy as np

# one fixed choice: the same examples for every family and seed, so that gaps are comparable
SEED = 0


def fixed_subset(n: int, size: int, seed: int = SEED) -> np.ndarray:
    """`size` of the rows 0..n-1 without repetition, sorted, int64; all rows when there are no more than `size`."""
    if size >= n:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, size, replace=False))
