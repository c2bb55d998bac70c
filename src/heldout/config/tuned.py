"""What a sweep of the pipeline has found, as overrides of the training that uses it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from heldout.config.errors import ConfigError

FOLDER = Path("tuned")
BEST_FILE = "best.yaml"
TRIALS_FILE = "trials.parquet"
SUFFIX = "_tuned"


@dataclass
class NamedSweep:
    """A sweep of the pipeline: conf/matrix.yaml has it under its name."""

    data: str
    model: str
    # of the sweep, and of the training with what it found
    overrides: list[str] = field(default_factory=list)

    @property
    def for_training(self) -> list[str]:
        return [override for override in self.overrides if not override.startswith(("sweep=", "sweep.", "cluster"))]


def best_overrides(folder: Path) -> list[str]:
    """The values that a sweep found, as overrides.

    Raises:
        ConfigError: the sweep has not been run, or its file was damaged.
    """
    path = folder / BEST_FILE
    try:
        params = yaml.safe_load(path.read_text(encoding="utf-8"))["params"]
        return [f"{key}={as_override(value)}" for key, value in params.items()]
    except OSError as error:
        raise ConfigError(
            f"no result of a sweep at '{path}': {error.strerror}. Run it: heldout sweep {folder.name}. Or take it out "
            "of `sweeps` in conf/matrix.yaml."
        ) from error
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"'{path}' is not what a sweep writes: expected `params`, with a value a key. Run it again: heldout sweep "
            f"{folder.name}"
        ) from error


def as_override(value: Any) -> str:
    """A value as it stands behind the `=` of an override."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(as_override(item) for item in value)}]"
    return str(value)
