"""Between a task function, in a thread of a warm worker, and Ray Tune, which asks for one result at a time."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hydra_plugins.ray_tune_sweeper._space import Params

# writes what a trial needs to go on from here into the folder it is given
Save = Callable[[Path], None]
# among the metrics of a report: the step, where the task counts it itself
STEP_METRIC = "step"
# the outcome of a task that is to be run again
DIED = "died"


class Pruned(Exception):
    """The scheduler has stopped this trial, or paused it; raised by `report`. Clean up and let it pass."""


class WorkerDied(Exception):
    """A process that the trial needs has died: raised by a task function to have its trial begun again."""


@dataclass(frozen=True)
class TrialInfo:
    """What a task function may know of the trial it is.

    job: the job number. sweep: name of the sweep. params: the searched keys and their values. checkpoint: folder
    written by a `save` given to `report`, to go on from; None at a first start. resources: of this trial by Ray's names
    (CPU, GPU), which the scheduler `resource_changing` may have changed; of each worker, where it has several. step: of
    the checkpoint, else 0.
    """

    job: int
    sweep: str
    params: Params
    checkpoint: Path | None
    resources: Mapping[str, float] = field(default_factory=dict)
    step: int = 0


@dataclass
class Step:
    """One report, or the end of the task: then `outcome` says how it ended."""

    metrics: dict[str, float] = field(default_factory=dict)
    save: Save | None = None
    # whether it is time to keep what `save` writes
    is_due: bool = False
    outcome: str | None = None
    error: str | None = None
    returned: object = None


class Session:
    """One run of a task function.

    Args:
        info: of the trial.
        task: the task function, arguments included.
        lockstep: whether `report` waits until the next step is asked for. Schedulers that copy or keep checkpoints need
            that; others leave a task one report ahead of them, so that it does not wait for the driver.
        checkpoint_seconds: time between two checkpoints that are kept for the trial itself; None keeps none.
    """

    def __init__(
        self,
        info: TrialInfo,
        task: Callable[[], object],
        lockstep: bool = False,
        checkpoint_seconds: float | None = None,
    ) -> None:
        self.info = info
        self.last_save: Save | None = None
        # names of all metrics that were reported
        self.seen: set[str] = set()
        self._task = task
        self._steps: queue.Queue[Step] = queue.Queue(maxsize=1)
        self._lockstep = lockstep
        self._checkpoint_seconds = checkpoint_seconds
        self._checkpointed = time.monotonic()
        # how many steps the driver has asked for, and how many the task has made
        self._asked = 0
        self._made = 0
        self._turn = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"trial-{info.job}", daemon=True)
        self._is_started = False

    def next_step(self, timeout: float | None) -> Step | None:
        """Lets the task go on to its next report, or its end; None when it takes longer than `timeout` seconds."""
        with self._turn:
            self._asked += 1
            self._turn.notify_all()
        if not self._is_started:
            self._is_started = True
            _set_current(self)
            self._thread.start()
        try:
            step = self._steps.get(timeout=timeout)
        except queue.Empty:
            return None
        self.last_save = step.save or self.last_save
        self.seen.update(step.metrics)
        return step

    def stop(self) -> None:
        """Makes the report that waits, or else the next, raise `Pruned`; what is reported from now on is not heard."""
        with self._turn:
            self._stopping.set()
            self._turn.notify_all()

    def end(self, seconds: float) -> bool:
        """Stops the task and waits for its end, at most `seconds`; returns whether it has ended."""
        self.stop()
        if self._is_started:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def report(self, metrics: Mapping[str, float], save: Save | None) -> None:
        is_due = save is not None and self._is_due()
        self._put(Step({name: float(value) for name, value in metrics.items()}, save, is_due))
        if self._lockstep or is_due:
            with self._turn:
                self._turn.wait_for(lambda: self._asked > self._made or self._stopping.is_set())
        if self._stopping.is_set():
            raise Pruned

    def _is_due(self) -> bool:
        now = time.monotonic()
        if self._checkpoint_seconds is None or now - self._checkpointed < self._checkpoint_seconds:
            return False
        self._checkpointed = now
        return True

    def _put(self, step: Step) -> None:
        self._made += 1
        while not self._stopping.is_set():
            try:
                self._steps.put(step, timeout=0.05)
                return
            except queue.Full:
                continue  # the driver has not asked for it yet

    def _run(self) -> None:
        try:
            step = Step(outcome="finished", returned=self._task())
        except Pruned:
            step = Step(outcome="pruned")
        except WorkerDied as error:
            step = Step(outcome=DIED, error=str(error))
        except SystemExit as error:
            step = Step(outcome="failed", error=f"the task ended its process: exit({error.code})")
        # whatever a task function raises is the failure of one trial, not of the sweep
        except BaseException as error:  # noqa: BLE001
            step = Step(outcome="failed", error=_brief(error))
        self._put(step)


def current() -> Session | None:
    """The session that runs in this process, if any."""
    return _current[-1] if _current else None


def report(metrics: Mapping[str, float], save: Save | None = None) -> None:
    """Tells the scheduler how the trial does; outside a sweep, does nothing.

    Args:
        metrics: numbers by name; among them the sweep's objective. `step` says how far the trial is, such as its
            epoch; without it, reports are counted.
        save: writes into a folder what the trial needs to go on from here. Called only where a scheduler asks for a
            checkpoint, while `report` waits.

    Raises:
        Pruned: the scheduler has stopped the trial.
    """
    session = current()
    if session is not None:
        session.report(metrics, save)


def trial() -> TrialInfo | None:
    """The trial that runs in this process; None outside a sweep."""
    session = current()
    return session.info if session else None


# a list in a module that Hydra's plugin scan does not execute a second time
_current: list[Session] = []


def _set_current(session: Session) -> None:
    _current[:] = [session]


def _brief(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"
