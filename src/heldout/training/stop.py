"""SIGINT and SIGTERM during a training: noted when they come, obeyed where nothing is left half-told or half-written.

An exception out of a signal handler may come in the middle of anything: it can be lost in a destructor, or leave a run
in MLflow that nobody ends. So a handler only takes note, and the training asks at its seams. A second signal is obeyed
at once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from heldout.training.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)

# signals belong to the process, and so does what is noted of them
_noted: list[int] = []
_interruptible: list[bool] = []


@contextmanager
def noting() -> Iterator[None]:
    """Takes note of signals instead of ending the process; in another thread than the main one, does nothing."""
    _noted.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, _note) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def received() -> int | None:
    """The signal that came since `noting` began, if any."""
    return _noted[0] if _noted else None


def obey() -> None:
    """Call at a seam.

    Raises:
        Interrupted: a signal was noted.
    """
    if _noted:
        raise Interrupted(_noted[0])


@contextmanager
def at_once() -> Iterator[None]:
    """Around a long computation that may be cut anywhere: `Interrupted` is raised in its midst."""
    _interruptible.append(True)
    try:
        obey()
        yield
    finally:
        _interruptible.pop()
    obey()


def _note(number: int, _: FrameType | None) -> None:
    _noted.append(number)
    if _interruptible or len(_noted) > 1:
        raise Interrupted(number)
