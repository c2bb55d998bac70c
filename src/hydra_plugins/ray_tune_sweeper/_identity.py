"""Whether the sweep in a folder is the one that is asked for; and that one process at a time runs it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.ray_tune_sweeper._errors import SweepChanged, SweepInUse
from hydra_plugins.ray_tune_sweeper._space import Space

IDENTITY_FILE = "identity.yaml"
LOCK_FILE = ".sweep.lock"
MAX_SHOWN = 12


def identity(space: Space, metric: str, mode: str, config: DictConfig, ignore: list[str]) -> dict[str, str]:
    """What makes two sweeps the same, as text by key: space, objective, and the rest of the application's config.

    Args:
        config: of the application with the fixed overrides, without the searched ones.
        ignore: keys of it that play no part.
    """
    plain = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
    assert isinstance(plain, dict)
    plain.pop("hydra", None)
    searched = {f"search {key}": domain for key, domain in space.to_plain().items()}
    # what the config says of a key that every trial replaces
    replaced = frozenset(parameter.key.lstrip("+") for parameter in space.parameters if not parameter.when)
    return {**searched, "objective": f"{mode} {metric}", **dict(_leaves(plain, "", frozenset(ignore), replaced))}


def _leaves(
    node: Mapping[Any, Any], parent: str, ignore: frozenset[str], replaced: frozenset[str]
) -> Iterator[tuple[str, str]]:
    for name, value in node.items():
        key = f"{parent}.{name}" if parent else str(name)
        if key in ignore:
            continue
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, key, ignore, replaced)
        elif key not in replaced:
            yield key, yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()


def check_identity(state: Path, given: dict[str, str], name: str, is_begun: bool) -> bool:
    """Whether the folder holds an earlier start of this sweep; notes what it is where it is new.

    Args:
        is_begun: whether there is a trial; what came to none may be changed.

    Raises:
        SweepChanged: the folder holds a sweep of something else; named is what differs.
    """
    path = state / IDENTITY_FILE
    if path.is_file() and is_begun:
        before: dict[str, str] = yaml.safe_load(path.read_text(encoding="utf-8"))
        if differences := _differences(before, given):
            raise SweepChanged(
                f"the sweep '{name}' was begun with other settings:\n{differences}\n"
                "Expected the same, to go on with it. Give the changed sweep a name of its own "
                "(hydra.sweeper.name=...), or begin anew (hydra.sweeper.resume=never), which keeps the old one aside."
            )
        return True
    state.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(yaml.safe_dump(given, sort_keys=False, allow_unicode=True), encoding="utf-8")
    partial.replace(path)
    return False


def _differences(before: dict[str, str], now: dict[str, str]) -> str:
    lines = []
    for key in [*before, *(key for key in now if key not in before)]:
        if before.get(key) != now.get(key):
            lines += [f"  - {key}: {before[key]}"] if key in before else []
            lines += [f"  + {key}: {now[key]}"] if key in now else []
    if len(lines) > MAX_SHOWN:
        lines = [*lines[:MAX_SHOWN], f"  ... and {len(lines) - MAX_SHOWN} lines more"]
    return "\n".join(lines)


def set_aside(directory: Path) -> Path | None:
    """Renames the folder of an earlier sweep; returns its new name."""
    if not directory.is_dir() or not any(path.name != LOCK_FILE for path in directory.iterdir()):
        return None
    number = 1
    while (target := directory.with_name(f"{directory.name}.{number}")).exists():
        number += 1
    target.mkdir()
    for path in directory.iterdir():
        if path.name != LOCK_FILE:
            shutil.move(path, target / path.name)
    return target


@contextmanager
def locked(directory: Path, name: str) -> Iterator[None]:
    """Holds the folder of a sweep for this process.

    Raises:
        SweepInUse: another process holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOCK_FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise SweepInUse(
                f"the sweep '{name}' in {directory} is run by process {file.read() or 'unknown'}; expected it to be "
                "free. Wait for that process or stop it, or give this sweep another name: hydra.sweeper.name=..."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()} on {os.uname().nodename}")
        file.flush()
        yield
