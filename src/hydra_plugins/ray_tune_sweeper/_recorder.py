"""Writes down all that happens to trials, and passes it on to the sampler and the callbacks."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from hydra_plugins.ray_tune_sweeper._callback import SweepCallback
from hydra_plugins.ray_tune_sweeper._errors import NothingReported
from hydra_plugins.ray_tune_sweeper._journal import Status, Trial
from hydra_plugins.ray_tune_sweeper._progress import Progress
from hydra_plugins.ray_tune_sweeper._schedulers import OBJECTIVE, STEP
from hydra_plugins.ray_tune_sweeper._searchers import Sampler
from hydra_plugins.ray_tune_sweeper._storage import fetch_folder
from hydra_plugins.ray_tune_sweeper._sweep import Sweep
from hydra_plugins.ray_tune_sweeper._trainable import ERROR, LIMIT_GRACE, METRICS, OUTCOME, VERDICT, over_time

log = logging.getLogger(__name__)

# the job number in a trial's config; other keys that are not the application's begin alike
JOB = "hydra_job"
OWN = "hydra_"

# Tune pickles what it is given, for a way of resuming that is not ours
NOT_KEPT = (str, ("not kept",))

Result = TypeVar("Result")

DIED = "its worker died: the process was killed or ended itself"


class Recorder:
    """Hears of every trial what Ray Tune says of it.

    problem: what went wrong here, such as in a callback; Tune would take it for the failure of a trial. signal: that
    arrived. checkpoints: folder or address that Tune keeps them in. open: trials given out that have not ended.
    """

    def __init__(
        self,
        sweep: Sweep,
        sampler: Sampler,
        callbacks: Sequence[SweepCallback],
        progress: Progress,
        outputs: str | None,
    ) -> None:
        self.problem: Exception | None = None
        self.signal: int | None = None
        self.checkpoints = ""
        self.open = 0
        self._sweep = sweep
        self._sampler = sampler
        self._callbacks = callbacks
        self._progress = progress
        self._outputs = outputs
        self._reported = any(trial.objective is not None for trial in sweep.trials)
        self._interrupted: deque[Trial] = deque()
        # when each trial that has a worker began there
        self._began: dict[int, float] = {}
        # how often the worker of a trial was dead before the trial had begun
        self._unlucky: Counter[int] = Counter()
        self._kernel_kills = kernel_kills()

    @property
    def must_stop(self) -> bool:
        return self.problem is not None or self.signal is not None

    def guarded(self, act: Callable[[], Result]) -> Result | None:
        """What `act` returns; None if it fails, or something has failed before: the sweep is about to end."""
        if self.problem is None:
            try:
                return act()
            except Exception as error:  # noqa: BLE001
                # raised by `check`, outside of Tune
                self.problem = error
        return None

    def check(self) -> None:
        """Raises what went wrong."""
        if self.problem is not None:
            raise self.problem

    def queue_interrupted(self) -> None:
        """Makes the trials that wait to be run again those that are given out first."""
        self._interrupted = deque(trial for trial in self._sweep.trials if trial.status is Status.waiting)
        self.open = 0

    def next_interrupted(self) -> Trial | None:
        return self._interrupted.popleft() if self._interrupted else None

    def left_over(self) -> bool:
        """Whether trials wait to be run again."""
        return not self.must_stop and any(trial.status is Status.waiting for trial in self._sweep.trials)

    def give_out(self, job: int) -> None:
        self.open += 1
        self._began.pop(job, None)

    def started(self, job: int) -> None:
        self._began[job] = time.monotonic()
        self._sweep.journal.start(job)
        for callback in self._callbacks:
            callback.on_trial_start(self._sweep, self._sweep.trials[job])

    def result(self, job: int, config: dict[str, Any], result: dict[str, Any], checkpoint: Any) -> None:
        trial, journal = self._sweep.trials[job], self._sweep.journal
        objective, step = result.get(OBJECTIVE), result[STEP]
        is_new = OUTCOME not in result or step > trial.steps or objective != trial.objective
        if objective is not None and is_new:
            self._reported = True
            journal.report(job, step, objective)
        params = {key: value for key, value in config.items() if not key.startswith(OWN)}
        if params != trial.params:
            journal.change(job, step, params)
            if checkpoint is not None:
                self.checkpointed(job, checkpoint)
        self._progress.update()

    def completed(self, job: int, result: dict[str, Any]) -> None:
        outcome, error = result.get(OUTCOME), result.get(ERROR)
        if outcome is None:
            self._end(job, Status.pruned, None)
            return
        status = Status(outcome)
        if status is Status.finished and self._sweep.trials[job].objective is None:
            status, error = Status.failed, self._nothing_reported(result.get(METRICS) or [])
        self._end(job, status, error)
        if status is Status.failed and outcome == Status.finished and not self._reported:
            raise NothingReported(f"trial {job} {error}")

    def _nothing_reported(self, metrics: Sequence[str]) -> str:
        metric = self._sweep.settings.objective.metric
        seen = f"it reported {', '.join(metrics)}" if metrics else "it reported nothing and returned no number"
        return (
            f"came to its end without the objective '{metric}': {seen}. Expected hydra.sweeper.objective.metric to be "
            "one of what the task function reports, or a number that it returns."
        )

    def recovered(self, job: int, config: dict[str, Any]) -> None:
        """Its worker died, and Tune is about to run it again."""
        if self._is_over_time(job):
            config[VERDICT] = over_time(self._sweep.settings.trial_seconds)

    def failed(self, job: int, error: BaseException | None) -> None:
        if job not in self._began and self._unlucky[job] <= self._sweep.settings.restarts:
            # a worker that was kept warm had died; that has nothing to do with this trial
            self._unlucky[job] += 1
            self.open -= 1
            trial = self._sweep.trials[job]
            trial.status = Status.waiting
            self._interrupted.append(trial)
            return
        self._end(job, Status.failed, self._reason(job, error))

    def _reason(self, job: int, error: BaseException | None) -> str:
        if self._is_over_time(job):
            return over_time(self._sweep.settings.trial_seconds)
        before, self._kernel_kills = self._kernel_kills, kernel_kills()
        reason = explain_death(error)
        if reason != DIED or self._kernel_kills == before:
            return reason
        return (
            f"{reason}, and memory ran out here: the kernel killed {self._kernel_kills - before} processes for that. "
            "Let a trial hold less, or fewer run at once (resources.max_concurrent)"
        )

    def _is_over_time(self, job: int) -> bool:
        # a worker ends its process for that no sooner: a death before is of another kind, however late it is noticed
        limit, began = self._sweep.settings.trial_seconds, self._began.get(job)
        return limit is not None and began is not None and time.monotonic() - began >= limit + LIMIT_GRACE

    def checkpointed(self, job: int, checkpoint: Any) -> None:
        # the folder of a trial, this or another, and that of its checkpoint
        parts = PurePosixPath(checkpoint.path).parts[-2:]
        self._sweep.journal.keep_checkpoint(job, "/".join((self.checkpoints, *parts)))

    def _end(self, job: int, status: Status, error: str | None) -> None:
        self.open -= 1
        if self._outputs is not None:
            fetch_folder(f"{self._outputs}/{job}", self._sweep.folder(job))
        trial = self._sweep.journal.end(job, status, error)
        self._sampler.tell(trial)
        if status is Status.failed:
            log.warning("%s: trial %d failed: %s", self._sweep.name, job, error)
        for callback in self._callbacks:
            callback.on_trial_end(self._sweep, trial)
        self._progress.update()

    def as_tune_callback(self) -> Any:
        from ray import tune

        recorder, guarded = self, self.guarded

        class Recording(tune.Callback):
            def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
                guarded(lambda: recorder.started(_job(trial)))

            def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
                guarded(lambda: recorder.result(_job(trial), trial.config, result, trial.checkpoint))

            def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
                guarded(lambda: recorder.completed(_job(trial), trial.last_result or {}))

            def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
                guarded(lambda: recorder.recovered(_job(trial), trial.config))

            def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
                guarded(lambda: recorder.failed(_job(trial), _error_of(trial)))

            def on_checkpoint(self, iteration: int, trials: Any, trial: Any, checkpoint: Any, **info: Any) -> None:
                guarded(lambda: recorder.checkpointed(_job(trial), checkpoint))

            def on_step_end(self, iteration: int, trials: Any, **info: Any) -> None:
                guarded(recorder._progress.update)

            def __reduce__(self) -> Any:
                return NOT_KEPT

        return Recording()


def _job(trial: Any) -> int:
    return int(str(trial))


def _error_of(trial: Any) -> BaseException | None:
    from ray import cloudpickle

    # Tune's own way to read it looks where the file will be later
    file = trial.pickled_error_file
    return cloudpickle.loads(Path(file).read_bytes()) if file and Path(file).is_file() else None


def explain_death(error: BaseException | None) -> str:
    """Why a worker is gone, in a line."""
    from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

    if error is None:
        return "its worker died"
    cause = error.cause if isinstance(error, RayTaskError) else error
    first = (str(cause).strip().splitlines() or [type(cause).__name__])[0][:300]
    if isinstance(cause, OutOfMemoryError):
        return f"its worker was killed because the node ran out of memory: {first}"
    if isinstance(cause, RayActorError):
        # Ray's words when it killed the worker for that; among the causes it can think of it names memory always
        if "running low on memory" in str(cause):
            return "its worker was killed because the node ran out of memory"
        return DIED
    return first


def kernel_kills() -> int:
    """Processes that the kernel of this machine has killed because memory ran out; 0 where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    counts = dict(line.split(maxsplit=1) for line in lines)
    return int(counts.get("oom_kill", 0))
