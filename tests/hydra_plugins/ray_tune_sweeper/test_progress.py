"""How a sweep goes is shown on a terminal, and told quietly elsewhere."""

from __future__ import annotations

import builtins
import logging
import os
import pty
import select
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hydra_plugins.ray_tune_sweeper import Status, Sweep
from hydra_plugins.ray_tune_sweeper import _progress as progress
from hydra_plugins.ray_tune_sweeper._config import Objective
from hydra_plugins.ray_tune_sweeper._journal import Journal


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Sweep]:
    journal = Journal(tmp_path / "journal")
    for job, objective in enumerate((0.5, 0.25, 0.75)):
        journal.draw({"x": objective, "kind": "a"})
        journal.start(job)
        journal.report(job, 1, objective)
    journal.end(0, Status.finished)
    journal.end(1, Status.finished)
    settings: Any = SimpleNamespace(objective=Objective())
    nothing: Any = None
    yield Sweep("mine", tmp_path, settings, nothing, nothing, journal, False, nothing)
    journal.close()


def test_a_line_now_and_then(sweep: Sweep, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO), progress.Progress(sweep, 4) as shown:
        for _ in range(100):
            shown.update()
        assert caplog.messages == []
        now[0] += progress.SECONDS_BETWEEN_LINES
        shown.update()
        shown.update()
        assert caplog.messages == ["mine: 2/4 trials done, 1 running, best objective 0.25 (trial 1)"]
        sweep.journal.end(2, Status.pruned)
        now[0] += progress.SECONDS_BETWEEN_LINES
        shown.update()
    assert caplog.messages[1].startswith("mine: 3/4 trials done, 1 pruned, best objective 0.25 (trial 1), about ")
    assert len(caplog.messages) == 3


def test_a_table_on_a_terminal(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    parent, child = pty.openpty()
    with os.fdopen(child, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")
        with progress.Progress(sweep, 4) as shown:
            shown._last = 0.0
            shown.update()
        terminal.flush()
        text = ""
        # a terminal hands over what was written in portions
        while select.select([parent], [], [], 1.0)[0]:
            text += os.read(parent, 1 << 16).decode()
    os.close(parent)
    assert "mine: 2/4 trials done, 1 running" in text
    assert "x=0.25 kind=a" in text
    assert text.index("x=0.25") < text.index("x=0.5") < text.index("x=0.75")


def test_without_rich_there_are_lines(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    there = builtins.__import__

    def without_rich(name: str, *rest: Any) -> Any:
        if name.startswith("rich"):
            raise ImportError(name)
        return there(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_rich)
    with progress.Progress(sweep, 4) as shown:
        assert shown.line() == "mine: 2/4 trials done, 1 running, best objective 0.25 (trial 1)"
        shown.update()
