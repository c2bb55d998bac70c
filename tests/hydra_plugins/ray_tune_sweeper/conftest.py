"""One Ray for all tests of the sweeper, and a way to start a sweep in it as `app.py -m` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from tests.hydra_plugins.ray_tune_sweeper import tasks

from hydra_plugins.ray_tune_sweeper import Sweep
from hydra_plugins.ray_tune_sweeper._cluster import running_ray
from hydra_plugins.ray_tune_sweeper._config import Cluster, Resources

Multirun = Callable[..., Sweep]


@pytest.fixture(scope="session")
def ray() -> Iterator[Any]:
    with running_ray(Cluster(cpus=2), Resources()) as module:
        yield module


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hydra]:
    """An application with the config `tasks.Config`, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    ConfigStore.instance().store("app", tasks.Config)
    for name in ("small", "large"):
        ConfigStore.instance().store(name, {"width": len(name)}, group="net")
    version.setbase("1.3")
    GlobalHydra.instance().clear()
    yield Hydra.create_main_hydra2(task_name="app", config_search_path=create_config_search_path(None))
    GlobalHydra.instance().clear()


@pytest.fixture
def multirun(ray: Any, app: Hydra) -> Multirun:
    """Runs a task function as `app.py -m hydra/sweeper=ray_tune OVERRIDES` would; returns the sweep."""

    def start(task: Callable[[Any], object], *overrides: str) -> Sweep:
        sweep = app.multirun(
            config_name="app",
            task_function=task,
            overrides=["hydra/sweeper=ray_tune", *overrides],
            with_log_configuration=False,
        )
        assert isinstance(sweep, Sweep)
        return sweep

    return start
