"""What several tests share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from heldout import warm
from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.stages import TrainConfig

ROOT = Path(__file__).resolve().parents[1]
# that would lead runs elsewhere
VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "HELDOUT_MULTIRUN_PARENT")


def stage(name: str, *overrides: str) -> Any:
    """The config of a stage."""
    with hydra_session():
        return to_stage(compose_stage(name, list(overrides)))


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder with the project's conf/: state, prepared data and mlflow.db land there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HELDOUT_CONF", str(ROOT / "conf"))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    _forget_store()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """As `workplace`, one for all tests of a module: to set up a database for each would take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("place"))
        patch.setenv("HELDOUT_CONF", str(ROOT / "conf"))
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        yield Path.cwd()
        _forget_store()


def _forget_store() -> None:
    """MLflow keeps a store that was set beyond the environment, for the tests that follow."""
    if "mlflow" in sys.modules:
        sys.modules["mlflow"].set_tracking_uri(None)


@pytest.fixture(scope="session")
def warm_process() -> Iterator[dict[str, str]]:
    """The environment under which commands of the tests share one process with torch imported."""
    with warm.server() as address:
        yield address


@pytest.fixture
def train_config(workplace: Path) -> Callable[..., TrainConfig]:
    """Composes a training config from overrides, with its records in `out` of the working folder."""

    def compose(*overrides: str) -> TrainConfig:
        config = stage("train", f"out={workplace}/out", *overrides)
        assert isinstance(config, TrainConfig)
        return config

    return compose
