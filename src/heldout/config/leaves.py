"""The values of a nested config by dotted key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(node: Mapping[str, Any], parent: str = "") -> Iterator[tuple[str, Any]]:
    """Keys as on the command line with their values; a group without any key is a value itself."""
    for name, value in node.items():
        key = f"{parent}.{name}" if parent else str(name)
        if isinstance(value, Mapping) and value:
            yield from leaves(value, key)
        else:
            yield key, value
