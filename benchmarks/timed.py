"""A training of the project as a command, timed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def train(folder: Path, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """Seconds of `pipelines/train.py` in `folder`, from its start to its end; where it fails, this process ends too."""
    started = time.monotonic()
    with (folder / "output.txt").open("w") as output:
        done = subprocess.run(
            [sys.executable, str(ROOT / "pipelines" / "train.py"), *arguments],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        sys.exit((folder / "output.txt").read_text()[-3000:])
    return time.monotonic() - started
