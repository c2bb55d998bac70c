"""What the end-to-end tests share: a folder to work in, and the project's own command lines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.project import clean_environment

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(workplace: Path, warm_process: dict[str, str]) -> dict[str, str]:
    """That of a user in an empty folder, with heavy stages in forks of the warm process."""
    return clean_environment(HELDOUT_CONF=str(ROOT / "conf"), **warm_process)


@pytest.fixture
def command(environment: dict[str, str]) -> Command:
    """Runs `python pipelines/STAGE.py ARGUMENTS` in the working folder; keywords are environment variables."""

    def run(stage: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "pipelines" / f"{stage}.py"), *arguments],
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run
