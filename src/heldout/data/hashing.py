"""Content hashes: SHA-256 in hexadecimal of files, arrays and JSON values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def hash_file(path: Path) -> str:
    """Hash of the bytes of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_json(value: Any) -> str:
    """Hash of a value made of dicts, lists, strings, numbers, booleans and None; the order of keys is no part of it."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no blanks, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def hash_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Hash of names, types, shapes and contents of numeric or text arrays."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        if array.dtype.kind in "UO":  # the width of a text dtype depends on the longest entry: not content
            digest.update(canonical_json([name, array.astype(str).tolist()]).encode())
        else:
            digest.update(canonical_json([name, array.dtype.str, list(array.shape)]).encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
