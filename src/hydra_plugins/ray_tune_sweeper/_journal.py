"""What is known of a sweep, on disk: a line of JSON for everything that happened, written before it counts.

A process can end at any moment; the next one reads the file and knows every trial that was begun, what it reported and
how it ended. A line that was cut off by a crash is left out and overwritten.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from hydra_plugins.ray_tune_sweeper._errors import JournalDamaged
from hydra_plugins.ray_tune_sweeper._space import Params


class Status(StrEnum):
    """How a trial stands. Those that are `waiting` or `running` when a process ends are begun again by the next."""

    waiting = "waiting"
    running = "running"
    finished = "finished"
    pruned = "pruned"
    failed = "failed"


ENDED = frozenset({Status.finished, Status.pruned, Status.failed})


@dataclass(frozen=True, slots=True)
class Report:
    """step: from 1. seconds: since the sweep began, times between two of its processes left out."""

    step: int
    seconds: float
    objective: float | None


@dataclass
class Trial:
    """One configuration: drawn once, and run until it is finished, pruned or failed.

    changes: values that a scheduler changed while the trial ran, by step. checkpoint: where a new start goes on from.
    """

    job: int
    params: Params
    status: Status = Status.waiting
    reports: list[Report] = field(default_factory=list)
    started: float | None = None
    ended: float | None = None
    error: str | None = None
    checkpoint: str | None = None
    changes: list[tuple[int, Params]] = field(default_factory=list)

    @property
    def objective(self) -> float | None:
        """The last value reported; None before the first."""
        return next((report.objective for report in reversed(self.reports) if report.objective is not None), None)

    @property
    def steps(self) -> int:
        return self.reports[-1].step if self.reports else 0


class Journal:
    """All trials of a sweep, in memory and on disk."""

    def __init__(self, path: Path) -> None:
        self.trials: list[Trial] = []
        self._path = path
        self._seconds_before = 0.0
        path.parent.mkdir(parents=True, exist_ok=True)
        complete = self._read()
        self._started = time.monotonic()
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._file.truncate(complete)
        self._file.seek(complete)

    @property
    def seconds(self) -> float:
        """Seconds that this sweep has run, over all of its processes."""
        return self._seconds_before + time.monotonic() - self._started

    def count(self, *statuses: Status) -> int:
        return sum(trial.status in statuses for trial in self.trials)

    def draw(self, params: Params) -> Trial:
        """A new trial; on disk when this returns."""
        trial = Trial(len(self.trials), params)
        self._write({"event": "drawn", "job": trial.job, "params": params}, durable=True)
        self.trials.append(trial)
        return trial

    def start(self, job: int) -> None:
        self._write({"event": "started", "job": job})
        self._apply_started(self.trials[job], self.seconds)

    def report(self, job: int, step: int, objective: float | None) -> None:
        report = Report(step, self.seconds, objective)
        self._write({"event": "report", "job": job, "step": step, "objective": objective})
        _add_report(self.trials[job], report)

    def change(self, job: int, step: int, params: Params) -> None:
        """A scheduler gave the trial other values after `step`."""
        self._write({"event": "changed", "job": job, "step": step, "params": params}, durable=True)
        self._apply_change(self.trials[job], step, params)

    def keep_checkpoint(self, job: int, checkpoint: str) -> None:
        self._write({"event": "checkpoint", "job": job, "checkpoint": checkpoint}, durable=True)
        self.trials[job].checkpoint = checkpoint

    def end(self, job: int, status: Status, error: str | None = None) -> Trial:
        """On disk when this returns."""
        trial = self.trials[job]
        self._write({"event": str(status), "job": job, "error": error}, durable=True)
        trial.status, trial.error, trial.ended = status, error, self.seconds
        return trial

    def close(self) -> None:
        self._file.close()

    def _write(self, event: Mapping[str, Any], durable: bool = False) -> None:
        line = json.dumps({**event, "seconds": round(self.seconds, 3)}, separators=(",", ":"))
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        if durable:
            os.fsync(self._file.fileno())

    def _read(self) -> int:
        """Reads what is there; returns the length of what is complete."""
        complete = 0
        bad: int | None = None
        for number, line in enumerate(_lines(self._path), start=1):
            if bad is not None:
                raise JournalDamaged(
                    f"line {bad} of {self._path} cannot be read, and others follow it; expected every line as it was "
                    "written. Mend the line, or begin anew with hydra.sweeper.resume=never."
                )
            try:
                event = json.loads(line)
                self._apply(event)
            except (ValueError, KeyError, IndexError, TypeError):
                bad = number
                continue
            complete += len(line)
            self._seconds_before = float(event["seconds"])
        for trial in self.trials:
            if trial.status is Status.running:
                trial.status = Status.waiting
        return complete

    def _apply(self, event: dict[str, Any]) -> None:
        kind, job, seconds = event["event"], event["job"], float(event["seconds"])
        if kind == "drawn":
            if job != len(self.trials):
                raise ValueError(f"trial {job} after trial {len(self.trials) - 1}")
            self.trials.append(Trial(job, event["params"]))
            return
        trial = self.trials[job]
        if kind == "started":
            self._apply_started(trial, seconds)
        elif kind == "report":
            _add_report(trial, Report(event["step"], seconds, event["objective"]))
        elif kind == "changed":
            self._apply_change(trial, event["step"], event["params"])
        elif kind == "checkpoint":
            trial.checkpoint = event["checkpoint"]
        else:
            trial.status, trial.error, trial.ended = Status(kind), event["error"], seconds

    def _apply_started(self, trial: Trial, seconds: float) -> None:
        trial.status = Status.running
        if trial.started is None:
            trial.started = seconds

    def _apply_change(self, trial: Trial, step: int, params: Params) -> None:
        trial.changes.append((step, params))
        trial.params = params


def _add_report(trial: Trial, report: Report) -> None:
    # a trial that was begun again from a checkpoint, or from another's, may come by a step a second time
    while trial.reports and trial.reports[-1].step >= report.step:
        trial.reports.pop()
    trial.reports.append(report)


def _lines(path: Path) -> Iterator[bytes]:
    if not path.is_file():
        return
    with path.open("rb") as file:
        yield from (line for line in file if line.endswith(b"\n"))
