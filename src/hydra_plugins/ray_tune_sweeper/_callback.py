"""What an application may do as its sweep goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra_plugins.ray_tune_sweeper._journal import Trial
    from hydra_plugins.ray_tune_sweeper._sweep import Sweep


class SweepCallback:
    """Told of a sweep, in the process that drives it. All methods do nothing by default.

    Named in the config: `hydra.sweeper.callbacks.mine._target_=package.Mine`. An exception ends the sweep; the same
    command goes on with it.
    """

    def on_sweep_start(self, sweep: Sweep) -> None:
        """Before the first trial of this process; `sweep.environment` may be added to."""

    def on_trial_start(self, sweep: Sweep, trial: Trial) -> None:
        """A trial begins, or begins again."""

    def on_trial_end(self, sweep: Sweep, trial: Trial) -> None:
        """A trial is finished, pruned or failed."""

    def on_sweep_interrupted(self, sweep: Sweep) -> None:
        """The process was told to end, an error ended it, or its cluster is lost; no trial is heard of any more."""

    def on_sweep_end(self, sweep: Sweep) -> None:
        """All trials have ended and the tables are written. Ray runs still, unless there was nothing left to run."""
