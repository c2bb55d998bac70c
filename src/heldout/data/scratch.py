"""Arrays that may be larger than memory, while data are prepared."""

from __future__ import annotations

import math
import tempfile

import numpy as np

# below this, memory is quicker than a file
MOST_IN_MEMORY = 1 << 26
# bytes copied at once
BLOCK = 1 << 24


def empty(shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
    """An array to be filled: in memory, or where it is large in a file without a name that vanishes with it."""
    if math.prod(shape) * np.dtype(dtype).itemsize <= MOST_IN_MEMORY:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="heldout-") as file:
        return np.memmap(file, dtype, "w+", shape=shape)


def take(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`array[rows]`; of a mapped array again a mapped one, copied in blocks."""
    if not isinstance(array, np.memmap):
        return np.asarray(array[rows])
    taken = empty((len(rows), *array.shape[1:]), array.dtype)
    step = block_rows(array)
    for start in range(0, len(rows), step):
        taken[start : start + step] = array[rows[start : start + step]]
    return taken


def block_rows(array: np.ndarray) -> int:
    """Rows of a block."""
    return max(1, BLOCK // max(1, array[:1].nbytes))
