"""The run of a sweep in MLflow, and the ends of its children."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from heldout import pod
from heldout.config.stages import TrainConfig
from heldout.config.tracking import URI_VARIABLE
from heldout.tracking import RunTracker, Tracking, connect
from heldout.tracking.errors import RunInUse
from heldout.tracking.remembered import remembered_run
from heldout.tracking.runs import LOGIN_VARIABLES
from heldout.tracking.store import resolve_uri
from heldout.tracking.tracker import Status as RunStatus
from heldout.training.trial import OUTCOME_TAG, TRIAL_TAG
from hydra_plugins.ray_tune_sweeper import Status, Sweep, Trial

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
# MLflow knows no pruned runs: it is killed there, and the tag says why
RUN_STATUS: dict[Status, RunStatus] = {
    Status.finished: "FINISHED",
    Status.pruned: "KILLED",
    Status.failed: "FAILED",
    Status.running: "KILLED",
    Status.waiting: "KILLED",
}


def tracking_environment(config: TrainConfig) -> dict[str, str]:
    """The variables by which a process elsewhere, or one that was started with others, finds this tracking store.

    And, in a Job on Kubernetes, what its runs are to be tagged with.
    """
    logins = {name: os.environ[name] for name in LOGIN_VARIABLES if name in os.environ}
    return {**logins, **pod.shared_variables(), URI_VARIABLE: resolve_uri(config.tracking.uri, Path.cwd())}


class SweepParent:
    """The parent run. Made by `begin`."""

    def __init__(self, tracking: Tracking, run: RunTracker) -> None:
        self.tracking = tracking
        self.run = run

    @property
    def run_id(self) -> str:
        return self.run.run_id

    @classmethod
    def begin(cls, sweep: Sweep, config: TrainConfig) -> SweepParent:
        """Begins the run of a sweep, or goes on with that of its earlier start."""
        tracking = connect(config.tracking)
        tags = {"heldout.kind": "sweep", "heldout.sweep": sweep.name, "heldout.data": config.data.name}
        params = {"sweep": _described(sweep), "space": sweep.space.to_plain()}
        run = remembered_run(tracking, sweep.directory, "sweep", f"sweep {sweep.name}", tags, params)
        return cls(tracking, run)

    def close_trials(self, trials: Sequence[Trial], patience: float = 0.0) -> None:
        """Ends every run of a trial that is still RUNNING, as the sweep knows it ended.

        Args:
            patience: seconds to wait for the worker of a trial that still tells of its run, as one may that has lost
                the rest of its cluster. After that the run is left to it, and a warning says so.
        """
        give_up = time.monotonic() + patience
        while in_use := self._close(trials):
            if time.monotonic() >= give_up:
                for error in in_use:
                    logger.warning("%s Until then it is left as it is.", error)
                return
            time.sleep(LOOK_SECONDS)

    def _close(self, trials: Sequence[Trial]) -> list[RunInUse]:
        in_use = []
        by_number = {str(trial.job): trial for trial in trials}
        for child in self.tracking.children(self.run_id):
            trial = by_number.get(child.tags.get(TRIAL_TAG, ""))
            if trial is None or child.status != "RUNNING":
                continue
            try:
                run = self.tracking.find(child.run_id, keeps_status=False)
            except RunInUse as error:
                in_use.append(error)
                continue
            if run is not None:
                outcome = str(trial.status) if trial.status in _ENDED else "interrupted"
                run.set_tags({OUTCOME_TAG: outcome})
                run.finish(RUN_STATUS[trial.status], trial.error)
        return in_use

    def runs_of_trials(self) -> dict[int, str]:
        """The ids of the children by trial."""
        return {
            int(child.tags[TRIAL_TAG]): child.run_id
            for child in self.tracking.children(self.run_id)
            if TRIAL_TAG in child.tags
        }

    def end(self, status: RunStatus, error: str | BaseException | None = None) -> None:
        self.run.finish(status, error)


_ENDED = frozenset({Status.finished, Status.pruned, Status.failed})


def _described(sweep: Sweep) -> dict[str, object]:
    settings = sweep.settings
    return {
        "searcher": settings.searcher.name,
        "scheduler": settings.scheduler.name,
        "objective": f"{settings.objective.mode.name} {settings.objective.metric}",
        "trials": settings.trials,
        "folder": _relative(sweep.directory),
    }


def _relative(path: Path) -> str:
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.as_posix()
