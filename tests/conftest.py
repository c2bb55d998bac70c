"""What several tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from heldout import warm
from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.stages import TrainConfig

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with the project's conf/: state, prepared data and mlflow.db land there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HELDOUT_CONF", str(ROOT / "conf"))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "HELDOUT_MULTIRUN_PARENT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def warm_process() -> Iterator[dict[str, str]]:
    """The environment under which commands of the tests share one process with torch imported."""
    with warm.server() as address:
        yield address


@pytest.fixture
def train_config(workplace: Path) -> Callable[..., TrainConfig]:
    """Composes a training config from overrides, with its records in `out` of the working folder."""

    def compose(*overrides: str) -> TrainConfig:
        with hydra_session():
            config = to_stage(compose_stage("train", [f"out={workplace}/out", *overrides]))
        assert isinstance(config, TrainConfig)
        return config

    return compose
