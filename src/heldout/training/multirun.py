"""One parent run in MLflow for a whole Hydra multirun."""

from __future__ import annotations

import atexit
import os
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from heldout.config.tracking import TrackingConfig

# inherited by the processes of launchers that start some
PARENT_VARIABLE = "HELDOUT_MULTIRUN_PARENT"


class MultirunParent(Callback):
    """Begins the parent before the first job of `-m` and ends it after the last."""

    def __init__(self) -> None:
        self._run: Any = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        # MLflow is imported here only: a single run or `--cfg` comes through this module too
        from heldout.tracking import connect

        overrides = config.hydra.overrides.task
        name = f"multirun {' '.join(overrides)}"
        self._run = connect(_tracking(config)).start_run(name, tags={"heldout.kind": "multirun"})
        os.environ[PARENT_VARIABLE] = self._run.run_id
        # Hydra calls nothing when a sweep breaks off
        atexit.register(self._finish, "FAILED")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        self._finish("FINISHED")

    def _finish(self, status: str) -> None:
        run, self._run = self._run, None
        if run is not None:
            os.environ.pop(PARENT_VARIABLE, None)
            run.finish(status)


def _tracking(config: DictConfig) -> TrackingConfig:
    typed = OmegaConf.to_object(config.tracking)
    assert isinstance(typed, TrackingConfig)
    return typed
