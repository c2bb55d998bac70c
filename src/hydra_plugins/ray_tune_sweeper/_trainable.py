"""A trial in a warm worker: composes the config of its job and runs the task function as Hydra would."""

from __future__ import annotations

import contextlib
import faulthandler
import math
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra_plugins.ray_tune_sweeper import _session
from hydra_plugins.ray_tune_sweeper._schedulers import OBJECTIVE, STEP
from hydra_plugins.ray_tune_sweeper._session import Session, Step, TrialInfo
from hydra_plugins.ray_tune_sweeper._space import Params, Space
from hydra_plugins.ray_tune_sweeper._storage import copy_folder, fetch_folder

# keys of a trial's config and result that are not the application's
CHECKPOINT = "hydra_checkpoint"
OUTCOME = "hydra_outcome"
ERROR = "hydra_error"
METRICS = "hydra_metrics"
# the key by which a result asks Ray Tune for a checkpoint
SHOULD_CHECKPOINT = "should_checkpoint"
# why a trial is not to be run again
VERDICT = "hydra_verdict"
STEP_FILE = ".hydra_step"
# seconds that a task has to clean up after the scheduler stopped it, before its process is ended
GRACE = 30.0
# the same after its time was up
LIMIT_GRACE = 5.0
# the same where it holds the interpreter lock, so that only a watchdog can end it
WATCHDOG_GRACE = 10.0


@dataclass(frozen=True)
class Payload:
    """What every worker needs, pickled by value: a task function may live in a script."""

    name: str
    directory: str
    working_directory: str
    hydra_context: Any
    task_function: Any
    config: Any
    singletons: Any
    space: Space
    environment: dict[str, str]
    metric: str
    needs_checkpoints: bool
    checkpoint_seconds: float | None
    trial_seconds: float | None
    outputs: str | None


def make_trainable() -> type[Any]:
    """The class that Ray Tune runs; made here, so that Ray is imported only when a sweep starts."""
    from ray import cloudpickle, tune

    class HydraTrial(tune.Trainable):
        # `payload` comes from `tune.with_parameters`
        def setup(self, config: dict[str, Any], payload: dict[str, Any]) -> None:  # type: ignore[override]
            sys.path[:] = [*dict.fromkeys([*payload["path"], *sys.path])]
            self._payload: Payload = cloudpickle.loads(payload["pickled"])
            _prepare_process(self._payload)
            self._begin(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._runner.end(GRACE)
            self._begin(new_config)
            return True

        def _begin(self, config: dict[str, Any]) -> None:
            group = self.trial_resources
            resources = dict(group.bundles[-1]) if group is not None else {}
            self._runner = Runner(self._payload, int(self.trial_name), config, resources)

        def step(self) -> dict[str, Any]:
            return self._runner.step()

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            self._runner.save(Path(checkpoint_dir))

        def load_checkpoint(self, checkpoint: Any) -> None:
            self._runner.restore(Path(checkpoint))

        def cleanup(self) -> None:
            self._runner.end(GRACE)

    return HydraTrial


def over_time(seconds: float | None) -> str:
    """Why a trial failed that took longer than it may."""
    return f"it took longer than hydra.sweeper.trial_seconds={seconds:g}"


def _prepare_process(payload: Payload) -> None:
    from hydra.core.singleton import Singleton
    from hydra.core.utils import setup_globals

    setup_globals()
    Singleton.set_state(payload.singletons)
    os.environ.update(payload.environment)


class Runner:
    """One run of the task function for one trial, a step at a time."""

    def __init__(
        self, payload: Payload, job: int, config: dict[str, Any], resources: dict[str, float] | None = None
    ) -> None:
        self._payload = payload
        self._job = job
        self._resources = resources or {}
        self._verdict: str | None = config.get(VERDICT)
        self._params: Params = {key: value for key, value in config.items() if not key.startswith("hydra_")}
        self._session: Session | None = None
        self._checkpoint: Path | None = None
        self._last_step = 0
        self._last_objective: float | None = None
        self._deadline: float | None = None
        if (path := config.get(CHECKPOINT)) and not self._verdict:
            self._fetch(path)

    def step(self) -> dict[str, Any]:
        """The next result that has the objective, or the outcome."""
        if self._verdict:
            return self._outcome("failed", self._verdict)
        if self._session is None:
            self._start()
        assert self._session is not None
        while True:
            left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            step = self._session.next_step(left)
            if step is None:
                # the driver takes the end of the process, if it comes to that, for the same
                self.end(LIMIT_GRACE)
                return self._outcome("failed", over_time(self._payload.trial_seconds))
            if step.outcome is not None:
                return self._ended(step)
            if self._payload.metric in step.metrics:
                return self._reported(step)

    def save(self, folder: Path) -> None:
        save = self._session.last_save if self._session else None
        if save is not None:
            save(folder)
        elif self._checkpoint is not None:
            shutil.copytree(self._checkpoint, folder, dirs_exist_ok=True)
        (folder / STEP_FILE).write_text(str(self._last_step), encoding="utf-8")

    def restore(self, folder: Path) -> None:
        """Before the first step: the task will go on from what is in `folder`."""
        self._drop_checkpoint()
        kept = Path(tempfile.mkdtemp(prefix="hydra-trial-"))
        shutil.copytree(folder, kept, dirs_exist_ok=True)
        self._last_step = int((kept / STEP_FILE).read_text(encoding="utf-8"))
        self._checkpoint = kept

    def end(self, seconds: float) -> None:
        """Ends the task if it still runs; and with it this process, where the task does not end within `seconds`."""
        if self._session is not None and not self._session.end(seconds):
            # a thread cannot be ended from outside, a process can: the next trial gets a new one
            os._exit(1)
        faulthandler.cancel_dump_traceback_later()
        self._drop_checkpoint()

    def _drop_checkpoint(self) -> None:
        if self._checkpoint is not None:
            shutil.rmtree(self._checkpoint, ignore_errors=True)
            self._checkpoint = None

    def _fetch(self, path: str) -> None:
        # a checkpoint that is gone, such as that of another trial that went on since, is none: from the beginning then
        with tempfile.TemporaryDirectory(prefix="hydra-trial-") as folder:
            fetch_folder(path, Path(folder))
            if (Path(folder) / STEP_FILE).is_file():
                self.restore(Path(folder))

    def _start(self) -> None:
        payload = self._payload
        with contextlib.suppress(FileNotFoundError):  # another node may not have it
            # Tune goes into a folder of its own with each trial
            os.chdir(payload.working_directory)
        # a checkpoint that only counts steps, as of a task that gives none, is none
        files = [p for p in self._checkpoint.iterdir() if p.name != STEP_FILE] if self._checkpoint else []
        checkpoint = self._checkpoint if files else None
        self._last_step = self._last_step if files else 0
        info = TrialInfo(self._job, payload.name, self._params, checkpoint, self._resources, self._last_step)
        self._session = Session(info, self._run_task, payload.needs_checkpoints, payload.checkpoint_seconds)
        if payload.trial_seconds is not None:
            self._deadline = time.monotonic() + payload.trial_seconds
            # for a task that hangs where Python cannot reach it
            faulthandler.dump_traceback_later(payload.trial_seconds + WATCHDOG_GRACE, exit=True)

    def _reported(self, step: Step) -> dict[str, Any]:
        assert self._session is not None
        objective = step.metrics[self._payload.metric]
        self._last_step = int(step.metrics.get(_session.STEP_METRIC, self._last_step + 1))
        if not math.isfinite(objective):
            return self._fail(f"{self._payload.metric} became {objective} at step {self._last_step}")
        if self._payload.needs_checkpoints and step.save is None:
            return self._fail("the scheduler pauses trials, and the task gives no checkpoints: report(..., save=...)")
        self._last_objective = objective
        result = {OBJECTIVE: objective, STEP: self._last_step}
        return {**result, SHOULD_CHECKPOINT: True} if step.is_due else result

    def _fail(self, reason: str) -> dict[str, Any]:
        assert self._session is not None
        self._session.stop()
        return self._outcome("failed", reason)

    def _ended(self, step: Step) -> dict[str, Any]:
        assert step.outcome is not None
        if step.outcome == _session.DIED:
            # to Ray Tune the same as the death of this process: it runs the trial again
            raise _session.WorkerDied(step.error)
        returned = step.returned
        if isinstance(returned, int | float) and not isinstance(returned, bool):
            if not math.isfinite(returned):
                return self._outcome("failed", f"the task returned {returned}")
            self._last_objective = float(returned)
            self._last_step = max(self._last_step, 1)
        if self._payload.outputs is not None:
            copy_folder(Path(self._payload.directory) / str(self._job), f"{self._payload.outputs}/{self._job}")
        return self._outcome(step.outcome, step.error)

    def _outcome(self, outcome: str, error: str | None) -> dict[str, Any]:
        faulthandler.cancel_dump_traceback_later()
        result: dict[str, Any] = {"done": True, OUTCOME: outcome, ERROR: error, STEP: self._last_step}
        result[METRICS] = sorted(self._session.seen) if self._session else []
        return result if self._last_objective is None else {**result, OBJECTIVE: self._last_objective}

    def _run_task(self) -> object:
        from hydra.core.hydra_config import HydraConfig
        from hydra.core.utils import JobStatus, run_job
        from omegaconf import open_dict

        payload = self._payload
        overrides = payload.space.overrides(self._params)
        config = payload.hydra_context.config_loader.load_sweep_config(payload.config, overrides)
        with open_dict(config):
            config.hydra.job.id = f"{payload.name}-{self._job}"
            config.hydra.job.num = self._job
            config.hydra.sweep.dir = payload.directory
            config.hydra.sweep.subdir = str(self._job)
        HydraConfig.instance().set_config(config)
        result = run_job(
            hydra_context=payload.hydra_context,
            task_function=payload.task_function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        if result.status is JobStatus.FAILED:
            # not `return_value`, which would write the whole error to standard error first
            raise result._return_value
        return result.return_value
