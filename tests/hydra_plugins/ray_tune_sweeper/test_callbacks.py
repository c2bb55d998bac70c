"""What callbacks are told when a sweep ends before its time, and what is said where one of them fails."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from hydra_plugins.ray_tune_sweeper import SweepCallback
from hydra_plugins.ray_tune_sweeper._multirun import _told


class Failing(SweepCallback):
    def on_sweep_interrupted(self, sweep: Any) -> None:
        raise OSError("the store is away")


def test_what_ended_the_sweep_is_raised_and_not_what_fails_in_a_callback(caplog: pytest.LogCaptureFixture) -> None:
    sweep: Any = SimpleNamespace(name="search")
    with caplog.at_level(logging.WARNING), pytest.raises(KeyError, match="the cause"), _told([Failing()], sweep):
        raise KeyError("the cause")
    assert "search: not all could be done after it was interrupted: the store is away" in caplog.text
