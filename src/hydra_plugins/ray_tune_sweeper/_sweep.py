"""A sweep as its callbacks see it, and the tables it leaves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, open_dict

from hydra_plugins.ray_tune_sweeper._config import Mode, RayTuneSweeperConf
from hydra_plugins.ray_tune_sweeper._journal import Journal, Status, Trial
from hydra_plugins.ray_tune_sweeper._space import Params, Space, Value

# what the plugin keeps of a sweep, below its folder
STATE_FOLDER = ".sweep"
TRIALS_FILE = "trials.parquet"
REPORTS_FILE = "reports.parquet"
BEST_FILE = "best.yaml"


@dataclass
class Sweep:
    """A sweep under way.

    directory: holds the outputs of trial N in the folder N. environment: variables that every trial gets; callbacks
    may add some in `on_sweep_start`. columns: what callbacks know of trials, by job and name, for trials.parquet.
    config: the whole config, `hydra` included, that the sweep was started with. loader: Hydra's, for `compose`.
    """

    name: str
    directory: Path
    settings: RayTuneSweeperConf
    space: Space
    config: DictConfig
    journal: Journal
    is_resumed: bool
    loader: ConfigLoader
    environment: dict[str, str] = field(default_factory=dict)
    columns: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def trials(self) -> list[Trial]:
        return self.journal.trials

    def compose(self, params: Params) -> DictConfig:
        """The application's config with these values of the searched keys, without `hydra`."""
        config = self.loader.load_sweep_config(self.config, self.space.overrides(params))
        with open_dict(config):
            config.pop("hydra")
        return config

    def folder(self, job: int) -> Path:
        return self.directory / str(job)

    def ranked(self) -> list[Trial]:
        """The finished trials, best objective first; of equals, the earlier one first."""
        finished = [t for t in self.trials if t.status is Status.finished and _is_number(t.objective)]
        sign = -1.0 if self.settings.objective.mode is Mode.max else 1.0
        return sorted(finished, key=lambda trial: (sign * (trial.objective or 0.0), trial.job))

    def write_tables(self) -> None:
        """trials.parquet, reports.parquet and best.yaml in the folder of the sweep."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(self._trials_table(pa), self.directory / TRIALS_FILE)
        rows = [(t.job, r.step, r.seconds, r.objective) for t in self.trials for r in t.reports]
        types = {"trial": pa.int64(), "step": pa.int64(), "seconds": pa.float64(), "objective": pa.float64()}
        columns = zip(*rows, strict=True) if rows else ((),) * len(types)
        reports = {name: pa.array(list(values), types[name]) for name, values in zip(types, columns, strict=True)}
        pq.write_table(pa.table(reports), self.directory / REPORTS_FILE)
        if ranked := self.ranked():
            self.write_best(ranked[0].params, trial=ranked[0].job, objective=ranked[0].objective)

    def write_best(self, params: Params, **evidence: Any) -> None:
        """best.yaml: the searched keys with the values to take, and where they come from."""
        content = {"params": {key: plain(value) for key, value in params.items()}, **evidence}
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        (self.directory / BEST_FILE).write_text(text, encoding="utf-8")

    def _trials_table(self, pa: Any) -> Any:
        trials = self.trials
        columns: dict[str, Any] = {
            "trial": pa.array([t.job for t in trials], pa.int64()),
            "status": pa.array([str(t.status) for t in trials], pa.string()),
            "objective": pa.array([t.objective for t in trials], pa.float64()),
            "epochs": pa.array([t.steps for t in trials], pa.int64()),
            "started": pa.array([t.started for t in trials], pa.float64()),
            "ended": pa.array([t.ended for t in trials], pa.float64()),
            "error": pa.array([t.error for t in trials], pa.string()),
        }
        for name in sorted({name for of in self.columns.values() for name in of}):
            columns[name] = pa.array([self.columns.get(t.job, {}).get(name) for t in trials])
        for key in dict.fromkeys(parameter.key for parameter in self.space.parameters):
            columns[f"param.{key}"] = _column(pa, [t.params.get(key) for t in trials])
        return pa.table(columns)


def plain(value: Value) -> Any:
    """A value as YAML reads it: 16 and not '16'."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return yaml.safe_load(value)


def _column(pa: Any, values: list[Value | None]) -> Any:
    # numbers where all are numbers, else the text of the overrides
    numbers = [None if value is None else plain(value) for value in values]
    if all(value is None or type(value) is int for value in numbers):
        return pa.array(numbers, pa.int64())
    if all(value is None or type(value) in (int, float) for value in numbers):
        return pa.array([None if v is None else float(v) for v in numbers], pa.float64())
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
