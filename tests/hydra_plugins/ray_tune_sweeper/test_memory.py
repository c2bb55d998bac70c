"""The kernel kills a trial that wants more memory than there is; the sweep says so and goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.hydra_plugins.ray_tune_sweeper.test_resume import _trials

CONTROLLER = Path("/sys/fs/cgroup/memory")
LIMIT = 3 * 2**30
HOARDING = """
import time

import hydra


@hydra.main(version_base="1.3", config_path=None)
def app(cfg):
    hoard = []
    while cfg.x == 2:
        hoard.append(bytearray(50 * 2**20))
        time.sleep(0.01)
    return float(cfg.x)


app()
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """A group of processes that may have three gigabytes together."""
    folder = CONTROLLER / f"heldout-{uuid.uuid4().hex}"
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(LIMIT))
    except OSError:
        pytest.skip("no memory controller (cgroup v1) that this process may use")
    yield folder
    folder.rmdir()


@pytest.mark.campaign
def test_trial_that_runs_out_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: Path) -> None:
    (tmp_path / "app.py").write_text(HOARDING)
    done = subprocess.run(
        [sys.executable, "app.py", "-m", "hydra/sweeper=ray_tune", "+x=1,2,3", "hydra.sweeper.restarts=0"],
        cwd=tmp_path,
        # Ray itself would step in a little earlier
        env={**os.environ, "RAY_memory_monitor_refresh_ms": "0"},
        preexec_fn=lambda: (group / "cgroup.procs").write_text(str(os.getpid())) and None,
        text=True,
        capture_output=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    trials = sorted(_trials(), key=lambda trial: trial.params["+x"])
    assert [str(trial.status) for trial in trials] == ["finished", "failed", "finished"]
    assert "memory ran out here: the kernel killed" in str(trials[1].error)
    # said once, by the sweep, and not by Ray as well
    assert "A worker died or was killed" not in done.stdout + done.stderr
