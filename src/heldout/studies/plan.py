"""From a study to the trainings it needs; imports nothing heavy."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from heldout.config.compose import compose_stage, conf_dir, hydra_session, to_stage
from heldout.config.errors import ConfigError
from heldout.config.leaves import leaves
from heldout.config.stages import StudyRunConfig, TrainConfig
from heldout.config.study import Budget, StudyConfig
from heldout.config.tuned import as_override

FOLDER = "studies"


@dataclass(frozen=True)
class Cell:
    """One combination of the grid: its folder, the values of the keys, and the training of all seeds."""

    name: str
    settings: dict[str, Any]
    config: TrainConfig


def plan(config: StudyRunConfig) -> list[Cell]:
    """The trainings of a study, each composed and checked, in the order of the grid.

    Raises:
        ConfigError: one of them cannot be run; it is named.
    """
    study = config.study
    combinations = [dict(zip(study.grid, values, strict=True)) for values in itertools.product(*study.grid.values())]
    with hydra_session():
        cells = [_cell(study, settings) for settings in combinations]
    for cell in cells:
        cell.config.tracking = config.tracking
        cell.config.out = f"{folder_of(config)}/runs/{cell.name}"
    return cells


def folder_of(config: StudyRunConfig) -> str:
    """Where a study keeps its records, tables and page."""
    fast = "-fast" if config.study.budget is Budget.fast else ""
    return config.out or f"{FOLDER}/{config.study.name}{fast}"


def _cell(study: StudyConfig, settings: dict[str, Any]) -> Cell:
    name = _name(settings)
    chosen = [f"{key}={as_override(value)}" for key, value in settings.items()]
    overrides = [f"data={study.data}"] if study.data is not None else []
    overrides += [*study.overrides, *chosen, f"seeds={as_override(study.seeds)}", f"name={study.name}-{name}"]
    if study.budget is Budget.fast:
        overrides += _fast()
    try:
        config = to_stage(compose_stage("train", _groups_first(overrides)))
    except ConfigError as error:
        raise ConfigError(f"study '{study.name}', its training with {' '.join(chosen)}: {error}") from error
    return Cell(name, settings, config)


def _name(settings: dict[str, Any]) -> str:
    """`skip-true_depth-12`: of folders and runs, by the last part of each key where that is enough."""
    last = [key.rpartition(".")[2] for key in settings]
    keys = last if len(set(last)) == len(last) else list(settings)
    parts = [f"{key}-{as_override(value)}" for key, value in zip(keys, settings.values(), strict=True)]
    return re.sub(r"[^\w.+-]", "", "_".join(parts))


def _fast() -> list[str]:
    """The values of conf/budget/fast.yaml, to stand behind those of the study."""
    content = yaml.safe_load((conf_dir() / "budget" / "fast.yaml").read_text(encoding="utf-8"))
    return [f"{key}={as_override(value)}" for key, value in leaves(content)]


def _groups_first(overrides: Sequence[str]) -> list[str]:
    """Choices of groups before values, as a group that is chosen later does not undo a value."""
    return sorted(overrides, key=lambda override: "." in override.partition("=")[0])
