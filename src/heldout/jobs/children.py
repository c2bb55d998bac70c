"""Processes that work for this one, and are told of the signals that it gets."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from heldout.errors import SIGNALLED

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Children:
    """Runs one command after another, until a signal has come; that is passed on, and its end waited for.

    Each is in a session of its own: whoever sends a signal to the whole group, as `tini -g` does, reaches this process
    alone, and DVC is not ended beside the stage that it waits for.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._running: subprocess.Popen[bytes] | None = None
        self._previous: dict[signal.Signals, Any] = {}
        self._stopped: int | None = None

    @property
    def exit_code(self) -> int | None:
        """128 + the signal that came; None where none did."""
        return None if self._stopped is None else SIGNALLED + self._stopped

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._pass_on) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def call(self, *command: str) -> int:
        """The exit code of a command, or what `exit_code` says."""
        if self.exit_code is None:
            self._running = subprocess.Popen(
                command, cwd=self._folder, env={**os.environ, **self._environment}, start_new_session=True
            )
            code = self._running.wait()
            self._running = None
        return code if self.exit_code is None else self.exit_code

    def add(self, environment: Mapping[str, str]) -> None:
        """Of the commands that follow."""
        self._environment |= environment

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self._stopped = number
        if self._running is not None:
            self._running.send_signal(signal.SIGTERM)
