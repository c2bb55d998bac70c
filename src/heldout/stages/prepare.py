"""The stage `prepare`."""

from __future__ import annotations

from pathlib import Path

from heldout.config.stages import PrepareConfig
from heldout.data.prepare import prepare
from heldout.training.prepared import locate


def run(config: PrepareConfig) -> None:
    """Source to split Arrow files and their card, in `config.out` or a folder named after the content."""
    prepare(config.data, Path(config.out) if config.out else locate(config.data))
