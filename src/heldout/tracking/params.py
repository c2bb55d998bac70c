"""A config as MLflow parameters: flat, named as on the command line, short enough."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from heldout.config.leaves import leaves

# limits of MLflow 3
MAX_KEY_LENGTH = 250
MAX_PARAM_LENGTH = 6000
MAX_TAG_LENGTH = 8000

_ELLIPSIS = "..."
_FORBIDDEN = re.compile(r"[^/\w.\- :]")


def flatten(config: Mapping[str, Any]) -> dict[str, str]:
    """Parameters by dotted key; values are written as Hydra overrides take them (`null`, `true`, `[1,2]`).

    Keys and values longer than MLflow takes are shortened, and end in dots.
    """
    return {clean_name(key): shorten(_text(value), MAX_PARAM_LENGTH) for key, value in leaves(config)}


def shorten(text: str, limit: int) -> str:
    """The text, cut to `limit` characters with dots at the end where it was longer."""
    # a database such as PostgreSQL refuses the zero character
    text = text.replace("\x00", "")
    return text if len(text) <= limit else text[: limit - len(_ELLIPSIS)] + _ELLIPSIS


def clean_name(name: str) -> str:
    """The name with `_` for characters that MLflow refuses in names of metrics, parameters and tags."""
    parts = [part for part in _FORBIDDEN.sub("_", name).split("/") if part not in ("", ".", "..")]
    return shorten("/".join(parts) or "_", MAX_KEY_LENGTH)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
