"""Between Arrow and numpy without copies.

The `to_numpy`, `pa.array` and `pa.scalar` of pyarrow import pandas, which takes longer than preparing a small data set.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def to_numpy(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Numbers without nulls as [n], a read-only view where they are one chunk."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return np.from_dlpack(values)


def filled(values: pa.ChunkedArray, fill: float) -> np.ndarray:
    """Numbers as [n], with `fill` where there are nulls."""
    if not values.null_count:
        return to_numpy(values)
    known = to_numpy(pc.is_valid(values).cast(pa.uint8())).astype(bool)
    numbers = to_numpy(values.drop_null())
    result = np.full(len(values), fill, dtype=numbers.dtype)
    result[known] = numbers
    return result


def from_numpy(values: np.ndarray) -> pa.Array:
    """Numbers [n] as an Arrow array without nulls that shares their memory."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def from_texts(texts: Sequence[str]) -> pa.StringArray:
    """Texts [n] as an Arrow array without nulls."""
    encoded = [text.encode() for text in texts]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int32)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))
