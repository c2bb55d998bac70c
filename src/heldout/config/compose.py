"""From overrides, or from a snapshot, to a checked and typed config."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from heldout.config import store
from heldout.config.checks import check
from heldout.config.data import DataConfig
from heldout.config.errors import ConfigError, explain, unknown_key
from heldout.config.model import ModelConfig
from heldout.config.training import TaskConfig

Group = TypeVar("Group", ModelConfig, TaskConfig, DataConfig)

HYDRA_VERSION_BASE = "1.3"
SCHEMA_KEY = "schema"
CHECKOUT = Path(__file__).resolve().parents[3]


def conf_dir() -> Path:
    """The folder of configs: `HELDOUT_CONF`, else `conf` here, else that of the source checkout.

    Raises:
        ConfigError: none of them is there.
    """
    given = os.environ.get("HELDOUT_CONF")
    for candidate in [Path(given)] if given else [Path("conf"), CHECKOUT / "conf"]:
        if (candidate / "train.yaml").is_file():
            return candidate.resolve()
    raise ConfigError(
        f"no folder of configs: expected '{given or 'conf'}' to hold train.yaml; "
        "run from the project's folder or set HELDOUT_CONF."
    )


def project_path(name: str) -> Path:
    """A file or folder of the project: beside the folder of configs, else in the source checkout; it need not exist."""
    beside = conf_dir().parent / name
    return beside if beside.exists() else CHECKOUT / name


@contextmanager
def hydra_session() -> Iterator[None]:
    """Hydra made ready to compose from `conf_dir`; leaves Hydra as it was."""
    store.register()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base=HYDRA_VERSION_BASE):
            yield
    finally:
        GlobalHydra.instance().clear()


def compose_stage(stage: str, overrides: Sequence[str], complete: bool = True, files_here: bool = True) -> DictConfig:
    """The config of a stage, typed by its schema and checked. Needs `hydra_session`.

    With `complete=False` values may still be missing, and nothing beyond types is checked: for showing it. With
    `files_here=False` it is to run elsewhere, where the user's files are.

    Raises:
        ConfigError: with the key, what was given and what was expected.
    """
    try:
        config = compose(stage, overrides=list(overrides))
        if complete:
            to_stage(config, files_here)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        raise explain(error) from error
    return config


def to_stage(config: DictConfig, files_here: bool = True) -> Any:
    """The dataclass of a composed config.

    Raises:
        ConfigError: a key the schema lacks, or values that do not go together.
    """
    try:
        _refuse_extra_keys(config, "")
        typed = OmegaConf.to_object(config)
    except (OmegaConfBaseException, ValueError) as error:
        raise explain(error) from error
    problems = check(typed, files_here)
    if problems:
        raise ConfigError("\n".join(problems))
    return typed


def _refuse_extra_keys(config: DictConfig, parent: str) -> None:
    # `+key=value` goes past the schema; a key nobody reads must not pass for a setting
    schema = OmegaConf.get_type(config)
    if not is_dataclass(schema):
        return
    known = [f.name for f in fields(schema)]
    for key in config:
        name = str(key)
        if name not in known:
            raise ConfigError(unknown_key(parent, name, known))
        if OmegaConf.is_missing(config, key):
            continue
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_interpolation():
            _refuse_extra_keys(node, f"{parent}.{name}" if parent else name)


def dump(node: DictConfig, stage: str) -> str:
    """A resolved config as YAML, with the names of its schemas so that `load` can type it again."""
    schema = {"stage": stage}
    for group in store.GROUPS:
        if group in node and isinstance(node._get_node(group), DictConfig):
            node_type = OmegaConf.get_type(node, group)
            if isinstance(node_type, type) and is_dataclass(node_type):
                schema[group] = store.schema_name(group, node_type)
    content = OmegaConf.to_container(node, resolve=True, enum_to_str=True)
    assert isinstance(content, dict)
    content.pop("hydra", None)
    return yaml.safe_dump({SCHEMA_KEY: schema, **content}, sort_keys=False, allow_unicode=True)


def load(path: Path, stage: str) -> Any:
    """The typed config that `dump` wrote, checked again; values that are absent take their defaults.

    Raises:
        ConfigError: the file is absent, is not such a file, or belongs to another stage.
    """
    return to_stage(load_node(path, stage))


def load_model_config(path: Path) -> ModelConfig:
    """The `model` part of a training's config, as its record and its MLflow model hold it.

    Raises:
        ConfigError: as `load`.
    """
    return _load_group(path, "model", ModelConfig)


def load_task_config(path: Path) -> TaskConfig:
    """The `task` part, likewise.

    Raises:
        ConfigError: as `load`.
    """
    return _load_group(path, "task", TaskConfig)


def load_data_config(path: Path) -> DataConfig:
    """The `data` part, likewise; whether its files are still there is not asked.

    Raises:
        ConfigError: as `load`.
    """
    return _load_group(path, "data", DataConfig)


def _load_group(path: Path, group: str, kind: type[Group]) -> Group:
    schema, content = _read(path, "train")
    try:
        node = OmegaConf.structured(store.GROUPS[group][schema[group]])
        found = OmegaConf.to_object(OmegaConf.merge(node, content[group]))
    except (OmegaConfBaseException, KeyError) as error:
        raise explain(error) from error
    assert isinstance(found, kind)
    return found


def _read(path: Path, stage: str) -> tuple[dict[str, str], dict[str, Any]]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"no config at '{path}': {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise explain(error) from error
    schema = content.pop(SCHEMA_KEY, None) if isinstance(content, dict) else None
    if not isinstance(schema, dict) or schema.get("stage") != stage:
        raise ConfigError(f"'{path}' is not a config of the stage '{stage}'; make it with `dvc repro snapshot`.")
    return schema, content


def load_node(path: Path, stage: str) -> DictConfig:
    """As `load`, before the checks: a structured OmegaConf node."""
    schema, content = _read(path, stage)
    node = OmegaConf.structured(store.STAGES[stage])
    try:
        for group, name in schema.items():
            if group != "stage":
                node[group] = OmegaConf.structured(store.GROUPS[group][name])
        merged = OmegaConf.merge(node, content)
    except (OmegaConfBaseException, KeyError) as error:
        raise explain(error) from error
    assert isinstance(merged, DictConfig)
    return merged


def group_options(group: str) -> list[str]:
    """The options of a config group, without its schemas. Needs `hydra_session`."""
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    return [name for name in hydra.config_loader.get_group_options(group) if not name.startswith(store.PREFIX)]


def group_options_of(group: str) -> list[str]:
    """As `group_options`, read from the folder: it needs no session."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
