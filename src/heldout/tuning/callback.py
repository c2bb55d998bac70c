"""A sweep in MLflow, and what is done after it: told by the sweeper plugin."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from heldout.config.compose import to_stage
from heldout.config.errors import ConfigError
from heldout.config.stages import TrainConfig
from hydra_plugins.ray_tune_sweeper import Status, Sweep, SweepCallback, Trial

if TYPE_CHECKING:
    from heldout.tuning.parent import SweepParent


class HeldoutSweep(SweepCallback):
    """One parent run a sweep with a child a trial; then the refits, the winner and the report."""

    def __init__(self) -> None:
        self._parent: SweepParent | None = None

    def on_sweep_start(self, sweep: Sweep) -> None:
        """Prepares the data once, before the trials would all do so, and begins or resumes the parent run."""
        from heldout.training.multirun import PARENT_VARIABLE
        from heldout.training.prepared import find_or_prepare
        from heldout.tuning.parent import SweepParent, tracking_environment

        config = _base_config(sweep)
        if config.trainer.nodes > 1:
            raise ConfigError(
                f"trainer.nodes={config.trainer.nodes} in a sweep: expected 1. With sweep.resources.workers a trial "
                "has several workers, on as many nodes of a Ray cluster as it takes."
            )
        if not any(p.key == "data" or p.key.startswith("data.") for p in sweep.space.parameters):
            find_or_prepare(config.data, config.prepared)
        self._parent = SweepParent.begin(sweep, config)
        sweep.environment.update(tracking_environment(config))
        sweep.environment[PARENT_VARIABLE] = self._parent.run_id

    def on_trial_end(self, sweep: Sweep, trial: Trial) -> None:
        """A run whose process died before it could say so ends as failed."""
        if trial.status is Status.failed and self._parent is not None:
            self._parent.close_trials([trial])

    def on_sweep_interrupted(self, sweep: Sweep) -> None:
        """No run is left RUNNING that nobody runs."""
        if self._parent is not None:
            with contextlib.suppress(KeyboardInterrupt):  # a second signal, while the first is obeyed
                self._parent.close_trials(sweep.trials)
                self._parent.end("KILLED")

    def on_sweep_end(self, sweep: Sweep) -> None:
        """Fits the best again, chooses among them, opens the test set for the winner, and reports."""
        from heldout.training.trial import TRIAL_PATIENCE
        from heldout.tuning.finish import finish
        from heldout.tuning.parent import SweepParent

        config = _base_config(sweep)
        parent = self._parent or SweepParent.begin(sweep, config)
        try:
            parent.close_trials(sweep.trials, TRIAL_PATIENCE)
            finish(sweep, config, parent)
        except BaseException as error:
            parent.end("FAILED" if isinstance(error, Exception) else "KILLED", error)
            raise
        parent.end("FINISHED")


def _base_config(sweep: Sweep) -> TrainConfig:
    """The config of the sweep without what is searched."""
    typed = to_stage(sweep.compose({}))
    assert isinstance(typed, TrainConfig)
    return typed
