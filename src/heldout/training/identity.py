"""What makes a training the same training: its config, data and code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

import heldout
from heldout.config.compose import SCHEMA_KEY
from heldout.config.snapshot import settings_of
from heldout.config.stages import TrainConfig
from heldout.data.hashing import hash_file, hash_json
from heldout.tracking.lineage import config_hash
from heldout.training.prepared import Prepared

# where a result lies is no part of what it is
PLACES = ("prepared", "out")
# the parts of the package that can change what a fit computes
FITTING_CODE = ("config", "data", "models", "tasks", "training")
FITTING_FILES = ("pictures.py", "ranking.py", "scoring.py")
KEY_LENGTH = 16


@dataclass(frozen=True)
class Identity:
    """Hashes of what a training is made from, and its config in the forms that are kept.

    key: names the state folder. config_text: the record's config.yaml. content: the same as nested values.
    """

    key: str
    config_hash: str
    data_hash: str
    code_hash: str
    config_text: str
    content: dict[str, Any]
    tags: dict[str, str]


def identify(config: TrainConfig, prepared: Prepared) -> Identity:
    """The identity of a training on prepared data."""
    content = content_of(config)
    hashes = {
        "config": config_hash(content),
        "data": prepared.card.data_hash,
        "code": fitting_code_hash(),
    }
    return Identity(
        key=f"{config.name}-{hash_json(hashes)[:KEY_LENGTH]}".replace("/", "-"),
        config_hash=hashes["config"],
        data_hash=hashes["data"],
        code_hash=hashes["code"],
        config_text=yaml.safe_dump(content, sort_keys=False, allow_unicode=True),
        content={key: value for key, value in content.items() if key != SCHEMA_KEY},
        tags={
            "heldout.data": config.data.name,
            "heldout.family": config.model.family,
            "heldout.kind": "configuration",
        },
    )


def content_of(config: TrainConfig) -> dict[str, Any]:
    """The settings of a training without the places where its results lie."""
    return {key: value for key, value in settings_of(config, "train").items() if key not in PLACES}


@cache
def fitting_code_hash() -> str:
    """Hash over names and contents of the source files that can change what a fit computes."""
    root = Path(heldout.__file__).parent
    files = sorted(path for part in FITTING_CODE for path in (root / part).rglob("*.py"))
    files += [root / name for name in FITTING_FILES]
    return hash_json({path.relative_to(root).as_posix(): hash_file(path) for path in files})
