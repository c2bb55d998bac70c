"""What tests of trainings share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from heldout.training import stop


@pytest.fixture(autouse=True)
def _no_signal_is_left() -> Iterator[None]:
    """What is noted of a signal belongs to the process: the trainings of the tests that follow would obey it."""
    yield
    # begins by forgetting
    with stop.noting():
        pass
