"""Runs the trials that a sweep still lacks with Ray Tune, and writes down all that happens."""

from __future__ import annotations

import logging
import shutil
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra_plugins.ray_tune_sweeper._callback import SweepCallback
from hydra_plugins.ray_tune_sweeper._config import Mode
from hydra_plugins.ray_tune_sweeper._errors import NothingReported, SweepError
from hydra_plugins.ray_tune_sweeper._journal import ENDED, Status, Trial
from hydra_plugins.ray_tune_sweeper._progress import Progress
from hydra_plugins.ray_tune_sweeper._schedulers import OBJECTIVE, STEP, WITH_CHECKPOINTS, build_scheduler
from hydra_plugins.ray_tune_sweeper._searchers import Sampler
from hydra_plugins.ray_tune_sweeper._storage import fetch_folder
from hydra_plugins.ray_tune_sweeper._sweep import STATE_FOLDER, Sweep
from hydra_plugins.ray_tune_sweeper._trainable import CHECKPOINT, ERROR, METRICS, OUTCOME, Payload, make_trainable

log = logging.getLogger(__name__)

# Tune pickles what it is given, for a way of resuming that is not ours
_NOT_KEPT = (str, ("not kept",))
# those that give a trial what it needs to be copied into another
COPYING = frozenset({"pbt", "pb2"})


def run_trials(
    sweep: Sweep,
    sampler: Sampler,
    target: int | None,
    callbacks: Sequence[SweepCallback],
    payload: Payload,
    storage: str,
) -> None:
    """Runs trials until `target` have ended, the sampler has no more, or the time is up.

    Raises:
        NothingReported: a trial finished without the objective, and none has reported it.
    """
    from ray import cloudpickle, tune

    trainable = tune.with_parameters(
        make_trainable(), payload={"path": list(sys.path), "pickled": cloudpickle.dumps(payload)}
    )
    trainable = tune.with_resources(trainable, _resources(sweep))
    settings = sweep.settings
    scheduler = build_scheduler(settings.scheduler, sweep.space, sweep.trials)
    run_name = _run_name(sweep.directory / STATE_FOLDER)
    with Progress(sweep, target) as progress:
        recorder = Recorder(sweep, sampler, callbacks, progress, payload)
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                metric=OBJECTIVE,
                mode=settings.objective.mode.name,
                search_alg=_searcher(sweep, sampler, target),
                scheduler=scheduler,
                num_samples=-1,
                max_concurrent_trials=settings.resources.max_concurrent,
                reuse_actors=True,
                # the name by which the worker, too, knows which trial it is
                trial_name_creator=_job_of,
                trial_dirname_creator=_job_of,
            ),
            run_config=tune.RunConfig(
                name=run_name,
                storage_path=storage,
                failure_config=tune.FailureConfig(max_failures=settings.restarts),
                checkpoint_config=tune.CheckpointConfig(num_to_keep=2, checkpoint_at_end=False),
                callbacks=[recorder.as_tune_callback()],
                verbose=0,
            ),
        )
        tuner.fit()
    if "://" not in storage:
        shutil.rmtree(Path(storage) / run_name, ignore_errors=True)


def _resources(sweep: Sweep) -> Any:
    from ray import tune

    resources = sweep.settings.resources
    bundle = {"CPU": resources.cpus, "GPU": resources.gpus}
    bundle = {name: amount for name, amount in bundle.items() if amount}
    if resources.workers == 1:
        return tune.PlacementGroupFactory([bundle])
    # the trial itself only waits for its workers
    return tune.PlacementGroupFactory([{}, *([bundle] * resources.workers)])


def _run_name(state: Path) -> str:
    """A folder of its own for each process: what Tune keeps there is of no use to the next but for checkpoints."""
    numbers = state / "starts"
    number = int(numbers.read_text(encoding="utf-8")) + 1 if numbers.is_file() else 1
    numbers.write_text(str(number), encoding="utf-8")
    return f"start-{number}"


def _job_of(trial: Any) -> str:
    return str(trial.config[JOB])


JOB = "hydra_job"


def _searcher(sweep: Sweep, sampler: Sampler, target: int | None) -> Any:
    from ray.tune.search import Searcher

    class Journaled(Searcher):  # type: ignore[misc]
        """Gives out the trials that were interrupted, then new ones, each written down before it is given out."""

        def __init__(self) -> None:
            super().__init__()
            self._interrupted = deque(trial for trial in sweep.trials if trial.status is Status.waiting)

        def suggest(self, trial_id: str) -> Any:
            trial = self._interrupted.popleft() if self._interrupted else self._draw()
            if trial is None:
                return Searcher.FINISHED
            config = {**trial.params, JOB: trial.job}
            return {**config, CHECKPOINT: trial.checkpoint} if trial.checkpoint else config

        def _draw(self) -> Trial | None:
            seconds = sweep.settings.seconds
            if target is not None and len(sweep.trials) >= target:
                return None
            if seconds is not None and sweep.journal.seconds >= seconds:
                return None
            params = sampler.ask(len(sweep.trials))
            return None if params is None else sweep.journal.draw(params)

        def set_search_properties(self, metric: Any, mode: Any, config: Any, **spec: Any) -> bool:
            self._metric, self._mode = metric, mode
            return True

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            """The recorder tells the sampler."""

        def save(self, checkpoint_path: str) -> None:
            """The journal is what is kept."""

        def restore(self, checkpoint_path: str) -> None:
            """Never called: a new start reads the journal."""

        def __reduce__(self) -> Any:
            return _NOT_KEPT

    return Journaled()


class Recorder:
    """Writes down what Tune says of its trials, and passes it on."""

    def __init__(
        self,
        sweep: Sweep,
        sampler: Sampler,
        callbacks: Sequence[SweepCallback],
        progress: Progress,
        payload: Payload,
    ) -> None:
        self._sweep = sweep
        self._sampler = sampler
        self._callbacks = callbacks
        self._progress = progress
        self._payload = payload
        self._reported = any(trial.objective is not None for trial in sweep.trials)

    def started(self, job: int) -> None:
        self._sweep.journal.start(job)
        for callback in self._callbacks:
            callback.on_trial_start(self._sweep, self._sweep.trials[job])

    def result(self, job: int, config: dict[str, Any], result: dict[str, Any]) -> None:
        trial = self._sweep.trials[job]
        params = {key: value for key, value in config.items() if not key.startswith("hydra_")}
        if params != trial.params:
            self._sweep.journal.change(job, trial.steps, params)
        objective, step = result.get(OBJECTIVE), result[STEP]
        is_new = OUTCOME not in result or step > trial.steps or objective != trial.objective
        if objective is not None and is_new:
            self._reported = True
            self._sweep.journal.report(job, step, objective)
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
        if status is Status.failed and outcome == "finished" and not self._reported:
            raise NothingReported(f"trial {job} {error}")

    def _nothing_reported(self, metrics: Sequence[str]) -> str:
        metric = self._sweep.settings.objective.metric
        seen = f"it reported {', '.join(metrics)}" if metrics else "it reported nothing and returned no number"
        return (
            f"came to its end without the objective '{metric}': {seen}. Expected hydra.sweeper.objective.metric to be "
            "one of what the task function reports, or a number that it returns."
        )

    def failed(self, job: int, error: BaseException | None) -> None:
        self._end(job, Status.failed, explain_death(error))

    def checkpointed(self, job: int, path: str) -> None:
        self._sweep.journal.keep_checkpoint(job, path)

    def _end(self, job: int, status: Status, error: str | None) -> None:
        if self._payload.outputs is not None:
            fetch_folder(f"{self._payload.outputs}/{job}", self._sweep.folder(job))
        trial = self._sweep.journal.end(job, status, error)
        self._sampler.tell(trial)
        if status is Status.failed:
            log.warning("%s: trial %d failed: %s", self._sweep.name, job, error)
        for callback in self._callbacks:
            callback.on_trial_end(self._sweep, trial)
        self._progress.update()

    def as_tune_callback(self) -> Any:
        from ray import tune

        recorder = self

        class Recording(tune.Callback):  # type: ignore[misc]
            def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
                recorder.started(int(str(trial)))

            def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
                recorder.result(int(str(trial)), trial.config, result)

            def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
                recorder.completed(int(str(trial)), trial.last_result or {})

            def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
                recorder.failed(int(str(trial)), trial.get_pickled_error() or trial.get_error())

            def on_checkpoint(self, iteration: int, trials: Any, trial: Any, checkpoint: Any, **info: Any) -> None:
                recorder.checkpointed(int(str(trial)), _address(checkpoint))

            def on_step_end(self, iteration: int, trials: Any, **info: Any) -> None:
                recorder._progress.update()

            def __reduce__(self) -> Any:
                return _NOT_KEPT

        return Recording()


def _address(checkpoint: Any) -> str:
    scheme = checkpoint.filesystem.type_name
    return str(checkpoint.path if scheme == "local" else f"{scheme}://{checkpoint.path}")


def explain_death(error: BaseException | None) -> str:
    """Why a worker is gone, in a line."""
    from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

    if error is None:
        return "its worker died"
    cause = error.as_instanceof_cause() if isinstance(error, RayTaskError) else error
    first = (str(cause).strip().splitlines() or [type(cause).__name__])[0][:300]
    if isinstance(cause, OutOfMemoryError):
        return f"its worker was killed because the node ran out of memory: {first}"
    if isinstance(cause, RayActorError):
        detail = str(cause)
        if "ut of memory" in detail or "OOM" in detail:
            return "its worker was killed, probably because the node ran out of memory"
        return "its worker died: the process was killed or ended itself"
    return first


def is_unfinished(sweep: Sweep, target: int | None) -> bool:
    """Whether there may be trials left to run."""
    open_trials = any(trial.status not in ENDED for trial in sweep.trials)
    return open_trials or target is None or len(sweep.trials) < target


def check_outcome(sweep: Sweep) -> None:
    """Raises SweepError where no trial came to anything."""
    if sweep.trials and all(trial.status is Status.failed for trial in sweep.trials):
        raise SweepError(
            f"all {len(sweep.trials)} trials of the sweep '{sweep.name}' failed; the first said: "
            f"{sweep.trials[0].error}"
        )


def needs_lockstep(scheduler: str) -> bool:
    return scheduler in WITH_CHECKPOINTS


def needs_save(scheduler: str) -> bool:
    return scheduler in COPYING


def describe_best(sweep: Sweep) -> str:
    """The outcome in a line."""
    ranked = sweep.ranked()
    if not ranked:
        return f"{sweep.name}: no trial finished"
    best, objective = ranked[0], sweep.settings.objective
    word = "highest" if objective.mode is Mode.max else "lowest"
    values = " ".join(f"{key}={value}" for key, value in best.params.items())
    return f"{sweep.name}: {word} {objective.metric} {best.objective:.6g} in trial {best.job}: {values}"
