"""What a job would run: its overrides checked as the command line checks them, and the hashes of what they make."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heldout import app
from heldout.config.compose import conf_dir, to_stage
from heldout.config.snapshot import settings_of
from heldout.data.hashing import hash_file, hash_json
from heldout.jobs.errors import JobError
from heldout.jobs.targets import read_targets
from heldout.tracking.lineage import config_hash, git_state

DIRTY = "-dirty"
PIPELINE = "pipeline"
SHORT_ID = 8


@dataclass(frozen=True)
class Content:
    """What a Job is labelled with; None where there is none.

    words: for its name. commit: of the checkout, with `-dirty` where files differ from it, as images are marked too.
    config_hash: as the runs have it as `hash.config`; of several configurations, over the hashes of all. data_hash:
    `prepared:` and the hash that the runs will have, where the data are prepared here; else `config:` and that of the
    config of the data; for predictions `file:` and that of the file, where it is here.
    """

    words: tuple[str, ...]
    commit: str | None
    config_hash: str | None
    data_hash: str | None


def content_of(command: list[str], overrides: list[str], multirun: bool) -> Content:
    """Checks the overrides of a job's `command`, such as `heldout train -m`.

    Raises:
        ConfigError, JobError: they cannot be used.
    """
    commit = _commit()
    name = next((word for word in command[1:] if not word.startswith("-")), "")
    if name not in app.STAGES:
        if not overrides and not multirun:
            return Content((), commit, None, None)
        if name != PIPELINE or multirun:
            raise JobError(f"`heldout {name}{' -m' if multirun else ''}` is no job that takes overrides.")
        read_targets(overrides)
        return Content(tuple(one.rpartition("=")[2] for one in overrides), commit, None, None)
    stage = app.STAGES[name]
    composed = app.precheck(stage, overrides, multirun or "-m" in command, complete=True, files_here=False)
    configs = [to_stage(config, files_here=False) for config in composed]
    hashes = [_config_hash(config, name) for config in configs]
    words, data_hash = _described(configs[0], name)
    return Content(words, commit, hashes[0] if len(hashes) == 1 else hash_json(hashes), data_hash)


def _commit() -> str | None:
    commit, dirty = git_state(conf_dir().parent)
    return None if commit is None else commit + (DIRTY if dirty else "")


def _config_hash(config: Any, stage: str) -> str:
    if stage != "train":
        return config_hash(settings_of(config, stage))
    from heldout.training.identity import content_of as content_of_training

    return config_hash(content_of_training(config))


def _described(config: Any, stage: str) -> tuple[tuple[str, ...], str | None]:
    """Words for the name, and the hash of the data."""
    if stage == "predict":
        file = Path(config.path) if config.path else None
        return (_short(config.run),), f"file:{hash_file(file)}" if file and file.is_file() else None
    if not hasattr(config, "data") or not hasattr(config, "model"):
        raise JobError(f"the stage '{stage}' is none that runs as a job; expected train or predict.")
    return (str(config.model.family), config.data.name), _data_hash(config)


def _short(model: str) -> str:
    """Of the id of a run its first digits, as MLflow shows it; else the last part of the path."""
    return model[:SHORT_ID] if re.fullmatch("[0-9a-f]{32}", model) else Path(model).name


def _data_hash(config: Any) -> str:
    from heldout.data.card import CARD_FILE, Card
    from heldout.data.errors import DataError
    from heldout.data.prepare import config_hash as hash_of_data_config
    from heldout.training.prepared import locate

    try:
        folder = Path(config.prepared) if config.prepared else locate(config.data)
        if (folder / CARD_FILE).is_file():
            return f"prepared:{Card.load(folder).data_hash}"
    except (DataError, FileNotFoundError):
        # a file of the user's that is on the volume of the cluster, and not here
        pass
    return f"config:{hash_of_data_config(config.data)}"
