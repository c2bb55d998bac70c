"""Composes the config of every downstream stage into a file of its own.

`dvc repro` does not compose Hydra configs, so a stage that named a group file as its dependency would miss an edit in
any other. The stage `snapshot` depends on all of conf/ and writes what each stage would be given; the stages depend on
these files. An edit then changes just the snapshots it reaches, and a comment changes none.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from heldout.config.compose import compose_stage, conf_dir, dump, hydra_session, load_node, to_stage
from heldout.config.errors import ConfigError, closest, explain, listed
from heldout.config.model import BaselineConfig
from heldout.config.store import STAGES
from heldout.config.sweep import ClusterConfig, SweepConfig
from heldout.config.training import AdamWConfig, ConstantConfig, TrainerConfig
from heldout.config.transfer import TransferConfig
from heldout.config.tuned import FOLDER as TUNED
from heldout.config.tuned import SUFFIX, NamedSweep, best_overrides

# all of them once more, for `dvc params diff`: as params of their stages they would be most of dvc.lock, which DVC
# reads at every start
PARAMS = "params.yaml"
# where results go does not change them: these are read afresh when the stage runs
NOT_CONTENT = ("tracking", "resume", "sweep", "cluster")
# of a multirun, which no stage of the pipeline is
MULTIRUN_ONLY = {"sweep": SweepConfig, "cluster": ClusterConfig}
# a classical model has none of them, so that an edit there does not rerun it
DEEP_ONLY = {"optimizer": AdamWConfig, "schedule": ConstantConfig, "trainer": TrainerConfig, "transfer": TransferConfig}


@dataclass
class Pairs:
    """Every model on every data set."""

    data: list[str]
    model: list[str]


@dataclass
class Matrix:
    """What the pipeline runs: conf/matrix.yaml."""

    data: list[str]
    ordered: Pairs
    tables: Pairs
    overrides: list[str]
    # whose results are trained, and compared with the others, as `NAME_tuned`
    sweeps: dict[str, NamedSweep] = field(default_factory=dict)

    def tuned(self, data: str) -> list[str]:
        """The names of the trainings on a data set that take what a sweep has found."""
        return [f"{name}{SUFFIX}" for name, sweep in self.sweeps.items() if sweep.data == data]


def read_matrix(path: Path) -> Matrix:
    """The matrix of data sets and models.

    Raises:
        ConfigError: a key is unknown, missing or of the wrong type, or a data set is not in `data`.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        matrix = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Matrix), content))
    except OSError as error:
        raise ConfigError(f"no matrix at '{path}': {error.strerror}.") from error
    except (yaml.YAMLError, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(f"{path}: {explain(error)}") from error
    assert isinstance(matrix, Matrix)
    for name, sweep in matrix.sweeps.items():
        if sweep.data not in matrix.data:
            raise ConfigError(
                f"{path}: sweeps.{name}.data={sweep.data}: expected one of the data sets of the matrix, {matrix.data}."
            )
    used = [*matrix.ordered.data, *matrix.tables.data]
    if sorted(used) != sorted(matrix.data):
        raise ConfigError(
            f"{path}: data={matrix.data} but ordered.data and tables.data hold {used}; expected the same data sets, "
            "each in one of the two."
        )
    return matrix


def write_snapshots(out: Path) -> int:
    """Writes all snapshots below `out`, replacing what was there; returns how many.

    `params.yaml` there holds all of them once more, for `dvc params`.

    Raises:
        ConfigError: any config cannot be used; nothing is written then.
    """
    matrix = read_matrix(conf_dir() / "matrix.yaml")
    with hydra_session():
        snapshots = dict(_snapshots(matrix))
    params: dict[str, dict[str, Any]] = {}
    for (stage, name), settings in snapshots.items():
        params.setdefault(stage, {})[name] = {key: value for key, value in settings.items() if key != "schema"}
    files = {f"{stage}/{name}.yaml": settings for (stage, name), settings in snapshots.items()}
    shutil.rmtree(out, ignore_errors=True)
    for file, settings in {**files, PARAMS: params}.items():
        path = out / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return len(snapshots)


def _snapshots(matrix: Matrix) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    # by stage and name
    for data in matrix.data:
        prepared = f"data/prepared/{data}"
        yield _snapshot("prepare", data, [f"data={data}", f"out={prepared}"])
        quality = f"out=data/quality/{data}.json"
        yield _snapshot("validate", data, [f"data={data}", f"prepared={prepared}", quality])
    for pairs in (matrix.ordered, matrix.tables):
        for data in pairs.data:
            for model in pairs.model:
                run = [f"data={data}", f"model={model}", f"prepared=data/prepared/{data}", f"out=runs/{data}/{model}"]
                name = f"name={data}-{model}"
                yield _snapshot("train", f"{data}-{model}", [*run, name, *matrix.overrides])
            only = f"only=[{','.join([*pairs.model, *matrix.tuned(data)])}]"
            prepared = f"prepared=data/prepared/{data}"
            yield _snapshot("evaluate", data, [f"runs=runs/{data}", f"out=records/{data}", prepared, only])
            yield _snapshot("compare", data, [f"records=records/{data}", f"out=comparisons/{data}", only])
    yield from _tuned(matrix)
    comparisons = ",".join(f"comparisons/{data}" for data in matrix.data)
    yield _snapshot("report", "report", [f"comparisons=[{comparisons}]"])


def _tuned(matrix: Matrix) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    for name, sweep in matrix.sweeps.items():
        run = f"{name}{SUFFIX}"
        found = best_overrides(conf_dir().parent / TUNED / name)
        places = [f"prepared=data/prepared/{sweep.data}", f"out=runs/{sweep.data}/{run}", f"name={run}"]
        chosen = [f"data={sweep.data}", f"model={sweep.model}", *matrix.overrides, *sweep.for_training]
        yield _snapshot("train", run, [*chosen, *places, *found])


def _snapshot(stage: str, name: str, overrides: list[str]) -> tuple[tuple[str, str], dict[str, Any]]:
    return (stage, name), settings_of(compose_stage(stage, overrides), stage)


def settings_of(config: Any, stage: str) -> dict[str, Any]:
    """What a stage's result depends on: its config, composed or typed, less the places results are sent to."""
    node = config if isinstance(config, DictConfig) else OmegaConf.structured(config)
    left_out = list(NOT_CONTENT)
    if stage == "train" and issubclass(OmegaConf.get_type(node, "model") or object, BaselineConfig):
        left_out += DEEP_ONLY
    kept: dict[str, Any] = yaml.safe_load(dump(node, stage))
    for key in left_out:
        kept.pop(key, None)
        kept["schema"].pop(key, None)
    return kept


def load_snapshot(path: Path, stage: str) -> Any:
    """The typed config of a snapshot, completed by what a snapshot leaves out: tracking as conf/ has it now.

    Raises:
        ConfigError: the file is not a snapshot of this stage, or conf/ cannot be composed.
    """
    node = load_node(path, stage)
    keys = {field.name for field in fields(STAGES[stage])}
    for group, unused in {**DEEP_ONLY, **MULTIRUN_ONLY}.items():
        if group in keys and OmegaConf.is_missing(node, group):
            node[group] = OmegaConf.structured(unused)
    if "tracking" in keys and OmegaConf.is_missing(node, "tracking"):
        with hydra_session():
            # the smallest config with that group
            node.tracking = compose_stage("evaluate", [], complete=False).tracking
    return to_stage(node)


def select_profile(name: str) -> int:
    """Makes conf/matrix/NAME.yaml the matrix that the pipeline runs; returns its number of runs.

    Raises:
        ConfigError: there is no such profile, or the matrix now there was edited and is no profile: it would be lost.
    """
    folder = conf_dir()
    current = folder / "matrix.yaml"
    profiles = {path.stem: path.read_text(encoding="utf-8") for path in sorted((folder / "matrix").glob("*.yaml"))}
    if name not in profiles:
        raise ConfigError(
            f"there is no profile '{name}'.{closest(name, profiles)} Expected one of: {listed(profiles)}."
        )
    if current.is_file() and current.read_text(encoding="utf-8") not in profiles.values():
        raise ConfigError(
            f"{current} was edited and is none of the profiles {listed(profiles)}; save it as "
            f"{folder / 'matrix'}/mine.yaml first, then choose again."
        )
    matrix = read_matrix(folder / "matrix" / f"{name}.yaml")
    current.write_text(profiles[name], encoding="utf-8")
    return sum(len(pairs.data) * len(pairs.model) for pairs in (matrix.ordered, matrix.tables)) + len(matrix.sweeps)
