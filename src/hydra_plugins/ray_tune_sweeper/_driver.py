"""Runs the trials that a sweep still lacks with Ray Tune."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from hydra_plugins.ray_tune_sweeper._callback import SweepCallback
from hydra_plugins.ray_tune_sweeper._cluster import slots
from hydra_plugins.ray_tune_sweeper._journal import ENDED, Trial
from hydra_plugins.ray_tune_sweeper._progress import Progress
from hydra_plugins.ray_tune_sweeper._recorder import JOB, NOT_KEPT, Recorder
from hydra_plugins.ray_tune_sweeper._schedulers import COPYING, OBJECTIVE, WITH_CHECKPOINTS, build_scheduler
from hydra_plugins.ray_tune_sweeper._searchers import Sampler
from hydra_plugins.ray_tune_sweeper._storage import remove_folder
from hydra_plugins.ray_tune_sweeper._sweep import STATE_FOLDER, Sweep
from hydra_plugins.ray_tune_sweeper._trainable import CHECKPOINT, Payload, make_trainable

SECONDS_BETWEEN_LOOKS = 10.0
SIGNALS = (signal.SIGINT, signal.SIGTERM)
# checkpoints of a trial that are kept; others copy the older ones of a population's best
KEPT, KEPT_TO_COPY = 2, 4
# as a shell says it: 128 + the signal
SIGNALLED = 128


def run_trials(
    sweep: Sweep,
    sampler: Sampler,
    target: int,
    callbacks: Sequence[SweepCallback],
    payload: Payload,
    storage: str,
) -> None:
    """Runs trials until `target` have ended, the sampler has no more, or the time is up.

    Raises:
        NothingReported: a trial finished without the objective, and none has reported it.
        KeyboardInterrupt: SIGINT arrived; all trials are stopped.
        SystemExit: SIGTERM arrived; all trials are stopped.
    """
    with Progress(sweep, target) as progress:
        recorder = Recorder(sweep, sampler, callbacks, progress, payload.outputs)
        with _signals(recorder):
            is_first = True
            # again, where the worker of a trial was dead before the trial had begun
            while is_first or recorder.left_over():
                is_first = False
                # a folder of its own for each: Tune's other files are of no use to the next
                run_name = f"start-{_count_start(sweep.directory / STATE_FOLDER)}"
                _fit(sweep, sampler, target, recorder, payload, storage, run_name)
                recorder.check()
    if all(trial.status in ENDED for trial in sweep.trials):
        remove_folder(storage)


def _fit(
    sweep: Sweep,
    sampler: Sampler,
    target: int,
    recorder: Recorder,
    payload: Payload,
    storage: str,
    run_name: str,
) -> None:
    from ray import cloudpickle, tune

    settings = sweep.settings
    pickled = cloudpickle.dumps(payload)
    trainable = tune.with_parameters(make_trainable(), payload={"path": list(sys.path), "pickled": pickled})
    name = settings.scheduler.name
    # workers are started side by side, not one after the other
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots(sweep.settings.resources))
    recorder.checkpoints = f"{storage}/{run_name}"
    tune.Tuner(
        tune.with_resources(trainable, _resources(sweep)),
        tune_config=tune.TuneConfig(
            metric=OBJECTIVE,
            mode=settings.objective.mode.name,
            search_alg=_searcher(
                sweep, sampler, target, recorder, None if name in WITH_CHECKPOINTS else _most_open(sweep)
            ),
            scheduler=build_scheduler(settings.scheduler, sweep.space, sweep.trials),
            num_samples=-1,
            # Ray Tune cannot give a worker that runs other resources
            reuse_actors=name != "resource_changing",
            # the name by which the worker, too, knows which trial it is
            trial_name_creator=_job_of,
            trial_dirname_creator=_job_of,
        ),
        run_config=tune.RunConfig(
            name=run_name,
            storage_path=storage,
            stop=_stopper(recorder),
            failure_config=tune.FailureConfig(max_failures=settings.restarts),
            checkpoint_config=tune.CheckpointConfig(
                num_to_keep=KEPT_TO_COPY if name in COPYING else KEPT, checkpoint_at_end=False
            ),
            callbacks=[recorder.as_tune_callback()],
            verbose=0,
        ),
    ).fit()


def _resources(sweep: Sweep) -> Any:
    from ray import tune

    resources = sweep.settings.resources
    bundle = {"CPU": resources.cpus, "GPU": resources.gpus}
    bundle = {name: amount for name, amount in bundle.items() if amount}
    # the trial itself is the first of its workers; it starts the others in the other bundles
    return tune.PlacementGroupFactory([bundle] * resources.workers)


def _most_open(sweep: Sweep) -> Callable[[], int]:
    """Trials that may be drawn and not ended: one ahead of the workers, so that the searcher knows all it can."""
    asked, most = -math.inf, 0

    def now() -> int:
        nonlocal asked, most
        # a cluster may grow or shrink
        if time.monotonic() - asked > SECONDS_BETWEEN_LOOKS:
            asked, most = time.monotonic(), slots(sweep.settings.resources) + 1
        limit = sweep.settings.resources.max_concurrent
        return most if limit is None else min(most, limit)

    return now


def _count_start(state: Path) -> int:
    numbers = state / "starts"
    number = int(numbers.read_text(encoding="utf-8")) + 1 if numbers.is_file() else 1
    partial = numbers.with_suffix(".partial")
    partial.write_text(str(number), encoding="utf-8")
    partial.replace(numbers)
    return number


def _job_of(trial: Any) -> str:
    return str(trial.config[JOB])


@contextmanager
def _signals(recorder: Recorder) -> Iterator[None]:
    """The first SIGINT or SIGTERM stops the trials, then does what it does elsewhere; the next does so at once."""

    def note(number: int, frame: FrameType | None) -> None:
        if recorder.signal is not None:
            _obey(number, previous[number], frame)
        recorder.signal = number

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous: dict[int, Any] = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if recorder.signal is not None:
            _obey(recorder.signal, previous[recorder.signal], None)


def _obey(number: int, handler: Any, frame: FrameType | None) -> None:
    # Ray's own, set by `ray.init`, ends the process with another exit code
    if callable(handler) and not str(getattr(handler, "__module__", "")).startswith("ray."):
        handler(number, frame)
    raise SystemExit(SIGNALLED + number)


def _stopper(recorder: Recorder) -> Any:
    from ray import tune

    class Stopper(tune.Stopper):
        def __call__(self, trial_id: str, result: Any) -> bool:
            return False

        def stop_all(self) -> bool:
            return recorder.must_stop

        def __reduce__(self) -> Any:
            return NOT_KEPT

    return Stopper()


def _searcher(
    sweep: Sweep, sampler: Sampler, target: int, recorder: Recorder, most_open: Callable[[], int] | None
) -> Any:
    from ray.tune.search import SearchAlgorithm, Searcher, SearchGenerator

    class Journaled(Searcher):
        """Gives out the trials that were interrupted, then new ones, each written down before it is given out."""

        def __init__(self) -> None:
            super().__init__()
            recorder.queue_interrupted()

        def suggest(self, trial_id: str) -> Any:
            given = recorder.guarded(self._suggest)
            return Searcher.FINISHED if recorder.must_stop else given

        def _suggest(self) -> Any:
            if most_open is not None and recorder.open >= most_open():
                return None
            trial = recorder.next_interrupted() or self._draw()
            if trial is None:
                return Searcher.FINISHED
            recorder.give_out(trial.job)
            config = {**trial.params, JOB: trial.job}
            return {**config, CHECKPOINT: trial.checkpoint} if trial.checkpoint else config

        def _draw(self) -> Trial | None:
            seconds = sweep.settings.seconds
            if len(sweep.trials) >= target:
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
            """Never called: the journal is what is kept."""

        def restore(self, checkpoint_path: str) -> None:
            """Never called: a new start reads the journal."""

    class Generator(SearchAlgorithm):
        """What Ray Tune puts around a searcher, under another name: its population-based schedulers refuse that one.

        They would have it that each member of a population is drawn at random, which is for who starts a sweep to say.
        """

        def __init__(self) -> None:
            self._generator = SearchGenerator(Journaled())

        def set_search_properties(self, metric: Any, mode: Any, config: Any, **spec: Any) -> bool:
            return bool(self._generator.set_search_properties(metric, mode, config, **spec))

        def add_configurations(self, experiments: Any) -> None:
            self._generator.add_configurations(experiments)

        def next_trial(self) -> Any:
            return self._generator.next_trial()

        @property
        def total_samples(self) -> Any:
            return self._generator.total_samples

        def is_finished(self) -> bool:
            return bool(self._finished or self._generator.is_finished())

        def has_checkpoint(self, dirpath: str) -> bool:
            return False

        def save_to_dir(self, dirpath: str, **others: Any) -> None:
            """The journal is what is kept."""

        def __reduce__(self) -> Any:
            return NOT_KEPT

    return Generator()
