"""Between a task function, which runs in a thread of a warm worker, and Ray Tune, which asks for one result at a time."""

from __future__ import annotations

import contextlib
import queue
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hydra_plugins.ray_tune_sweeper._space import Params

# writes what a trial needs to go on from here into the folder it is given
Save = Callable[[Path], None]
# seconds that a task is given to end after it was told to
GRACE = 60.0
# among the metrics of a report: the step, where the task counts it itself
STEP_METRIC = "step"


class Pruned(Exception):
    """The scheduler has stopped this trial; raised by `report`. Clean up and let it pass."""


@dataclass(frozen=True)
class TrialInfo:
    """What a task function may know of the trial it is.

    job: the job number. sweep: name of the sweep. params: the searched keys and their values. checkpoint: folder
    written by a `save` given to `report`, to go on from; None at a first start. step: of that checkpoint, else 0.
    """

    job: int
    sweep: str
    params: Params
    checkpoint: Path | None
    step: int = 0


@dataclass
class Step:
    """One report, or the end of the task: then `outcome` says how it ended."""

    metrics: dict[str, float] = field(default_factory=dict)
    save: Save | None = None
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
    """

    def __init__(self, info: TrialInfo, task: Callable[[], object], lockstep: bool) -> None:
        self.info = info
        self.last_save: Save | None = None
        # names of all metrics that were reported
        self.seen: set[str] = set()
        self._task = task
        self._steps: queue.Queue[Step] = queue.Queue(maxsize=1)
        self._lockstep = lockstep
        self._go_on = threading.Semaphore(0)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"trial-{info.job}", daemon=True)
        self._is_started = False

    def next_step(self, timeout: float | None) -> Step | None:
        """Lets the task go on to its next report, or its end; None when it takes longer than `timeout` seconds."""
        if not self._is_started:
            self._is_started = True
            _set_current(self)
            self._thread.start()
        else:
            self._go_on.release()
        try:
            step = self._steps.get(timeout=timeout)
        except queue.Empty:
            return None
        self.last_save = step.save or self.last_save
        self.seen.update(step.metrics)
        return step

    def end(self) -> bool:
        """Makes the next report raise `Pruned` and waits for the end; returns whether the task has ended."""
        self._stopping.set()
        self._go_on.release()
        with contextlib.suppress(queue.Empty):
            self._steps.get_nowait()
        if self._is_started:
            self._thread.join(GRACE)
        return not self._thread.is_alive()

    def report(self, metrics: Mapping[str, float], save: Save | None) -> None:
        self._put(Step({name: float(value) for name, value in metrics.items()}, save))
        if self._lockstep:
            self._go_on.acquire()
        if self._stopping.is_set():
            raise Pruned

    def _put(self, step: Step) -> None:
        while not self._stopping.is_set():
            try:
                self._steps.put(step, timeout=0.5)
                return
            except queue.Full:
                continue

    def _run(self) -> None:
        try:
            step = Step(outcome="finished", returned=self._task())
        except Pruned:
            step = Step(outcome="pruned")
        except SystemExit as error:
            step = Step(outcome="failed", error=f"the task ended its process: exit({error.code})")
        # whatever a task function raises is the failure of one trial, not of the sweep
        except BaseException as error:
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
