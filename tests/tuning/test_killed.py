"""The process that drives a sweep is killed; the same command goes on with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.conftest import ROOT
from tests.tuning.conftest import QUICK, children_of, journal, parent_of_sweep, trials

pytestmark = pytest.mark.timeout(280)

COMMAND = (
    "-m",
    "hydra/sweeper=ray_tune",
    "data=digits",
    "model=mlp",
    "model.hidden=[16]",
    "trainer.max_epochs=40",
    "trainer.checkpoint_seconds=0",
    "model.learning_rate=0.001,0.003,0.01,0.03",
    "sweep.searcher.name=grid",
    "sweep.scheduler.name=fifo",
    "sweep.name=s",
    *QUICK,
)


def start() -> subprocess.Popen[bytes]:
    arguments = [sys.executable, str(ROOT / "pipelines" / "train.py"), *COMMAND]
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_until_one_is_finished_and_another_runs(process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        assert process.poll() is None, "the sweep ended before it could be killed"
        if Path("sweeps/s/.sweep/journal.jsonl").is_file():
            events = Counter(event["event"] for event in journal("s"))
            if events["finished"] and events["started"] > events["finished"]:
                return
        time.sleep(0.05)
    pytest.fail("no trial finished")


@pytest.mark.kills
def test_a_killed_sweep_goes_on_with_one_run_a_trial(workplace: Path) -> None:
    process = start()
    wait_until_one_is_finished_and_another_runs(process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = {event["job"] for event in journal("s") if event["event"] == "finished"}

    assert start().wait() == 0
    assert trials("s")["status"].tolist() == ["finished"] * 4
    assert trials("s")["epochs"].tolist() == [40] * 4
    starts = Counter(event["job"] for event in journal("s") if event["event"] == "started")
    assert {job: starts[job] for job in finished} == dict.fromkeys(finished, 1)
    parent = parent_of_sweep()
    assert parent.info.status == "FINISHED"
    children = children_of(parent)
    assert [run.data.tags["heldout.trial"] for run in children] == ["0", "1", "2", "3"]
    assert {run.info.status for run in children} == {"FINISHED"}
