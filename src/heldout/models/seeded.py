"""Random numbers by the row: what is drawn for a seed depends on nothing that stands beside it."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

# how many images are drawn beside each example; more make what is measured of them less a matter of chance
DRAWN_BESIDE = 4
# an image uint8 [n, channels, height, width] for each seed, int64 [n]
Draw = Callable[[np.ndarray], np.ndarray]


def seeds_of(ids: np.ndarray) -> np.ndarray:
    """Seeds of the images that are drawn beside examples, int64 [n of each example]: the same in every run."""
    names = [f"{one}/{number}" for one in ids.tolist() for number in range(DRAWN_BESIDE)]
    return np.array([zlib.crc32(name.encode()) for name in names], dtype=np.int64)


def normals(seeds: np.ndarray, count: int) -> np.ndarray:
    """Standard normal numbers float32 [n, count], those of a row by its seed."""
    rows = np.empty((len(seeds), count), dtype=np.float32)
    for row, seed in zip(rows, seeds.tolist(), strict=True):
        np.random.default_rng(seed).standard_normal(out=row, dtype=np.float32)
    return rows


def choices(seeds: np.ndarray, weights: np.ndarray, count: int = 1) -> np.ndarray:
    """`count` positions in `weights` for each seed, drawn by them with repetition, int64 [n, count]."""
    up_to = np.cumsum(weights / weights.sum())
    # apart from what `normals` draws by the same seed
    drawn = np.stack([np.random.default_rng([1, seed]).random(count) for seed in seeds.tolist()])
    return np.minimum(np.searchsorted(up_to, drawn, side="right"), len(weights) - 1)
