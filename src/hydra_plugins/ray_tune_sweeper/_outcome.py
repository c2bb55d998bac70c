"""Whether a sweep is at its end, and what has come of it."""

from __future__ import annotations

from hydra_plugins.ray_tune_sweeper._config import Mode
from hydra_plugins.ray_tune_sweeper._errors import SweepError
from hydra_plugins.ray_tune_sweeper._journal import ENDED, Status
from hydra_plugins.ray_tune_sweeper._sweep import Sweep


def is_unfinished(sweep: Sweep, target: int) -> bool:
    """Whether there may be trials left to run."""
    open_trials = any(trial.status not in ENDED for trial in sweep.trials)
    return open_trials or len(sweep.trials) < target


def check_outcome(sweep: Sweep) -> None:
    """Raises SweepError where no trial came to anything."""
    if sweep.trials and all(trial.status is Status.failed for trial in sweep.trials):
        raise SweepError(
            f"all {len(sweep.trials)} trials of the sweep '{sweep.name}' failed; the first said: "
            f"{sweep.trials[0].error}"
        )


def describe_best(sweep: Sweep) -> str:
    """The outcome in a line."""
    ranked = sweep.ranked()
    if not ranked:
        return f"{sweep.name}: no trial finished"
    best, objective = ranked[0], sweep.settings.objective
    word = "highest" if objective.mode is Mode.max else "lowest"
    values = " ".join(f"{key}={value}" for key, value in best.params.items())
    return f"{sweep.name}: {word} {objective.metric} {best.objective:.6g} in trial {best.job}: {values}"
