"""The sweeper, as Hydra's plugin discovery finds it: at the start of every Hydra application, so that it is light."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.ray_tune_sweeper import _config

if TYPE_CHECKING:
    from hydra_plugins.ray_tune_sweeper._sweep import Sweep

_config.register()


class RayTuneSweeper(Sweeper):
    """Runs `-m` on Ray Tune; see README.md beside this file.

    Args:
        settings: the fields of RayTuneSweeperConf; they are read from the config, where interpolations are known.
    """

    def __init__(self, **settings: Any) -> None:
        self.hydra_context: HydraContext | None = None
        self.config: DictConfig | None = None
        self._task_function: TaskFunction | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `sweep`."""
        self.hydra_context = hydra_context
        self.config = config
        self._task_function = task_function

    def sweep(self, arguments: list[str]) -> Sweep:
        """Runs the sweep, or what is left of it; returns it with all its trials.

        Raises:
            SweepError: nothing can be run; the message says what to change.
        """
        from hydra_plugins.ray_tune_sweeper._multirun import Application, multirun

        assert self.hydra_context is not None
        assert self._task_function is not None
        assert self.config is not None
        app = Application(self.hydra_context, self._task_function, self.config)
        return multirun(app, arguments, self.validate_batch_is_legal)
