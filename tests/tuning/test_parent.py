"""The ends of the runs of trials, told by the driver of their sweep where the trials did not."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from heldout.config.tracking import TrackingConfig
from heldout.tracking import connect
from heldout.training.trial import OUTCOME_TAG, TRIAL_TAG
from heldout.tuning.parent import SweepParent
from hydra_plugins.ray_tune_sweeper import Status, Trial

WORKER = f"""
import sys
from pathlib import Path
from heldout.config.tracking import TrackingConfig
from heldout.tracking import connect

folder, parent, job = sys.argv[1:]
tracking = connect(TrackingConfig(system_metrics_seconds=None), Path(folder))
run = tracking.start_run(f"trial {{job}}", parent, tags={{"{TRIAL_TAG}": job}})
print(run.run_id, flush=True)
sys.stdin.read()
"""
Worker = tuple[subprocess.Popen[str], str]


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[SweepParent]:
    tracking = connect(TrackingConfig(system_metrics_seconds=None), tmp_path)
    with tracking.start_run("sweep") as run:
        yield SweepParent(tracking, run)


@pytest.fixture
def workers(parent: SweepParent, tmp_path: Path) -> Iterator[tuple[Worker, Worker]]:
    """Processes in which the runs of the trials 0 and 1 go on, with the ids of the runs."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path), parent.run_id, job],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for job in ("0", "1")
    ]
    first, second = ((process, process.stdout.readline().strip()) for process in processes if process.stdout)
    yield first, second
    for process in processes:
        kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def ends(parent: SweepParent) -> dict[str, tuple[str, str | None]]:
    children = parent.tracking.children(parent.run_id)
    return {child.tags[TRIAL_TAG]: (child.status, child.tags.get(OUTCOME_TAG)) for child in children}


def test_a_run_that_a_worker_still_tells_of_is_ended_when_that_is_gone_and_the_others_at_once(
    parent: SweepParent, workers: tuple[Worker, Worker], caplog: pytest.LogCaptureFixture
) -> None:
    (living, held), (lost, _) = workers
    kill(lost)
    with caplog.at_level(logging.WARNING):
        parent.close_trials([Trial(0, {}, Status.running), Trial(1, {}, Status.running)])
    assert ends(parent) == {"0": ("RUNNING", None), "1": ("KILLED", "interrupted")}
    assert f"run {held} is in use by another process" in caplog.text

    gone = threading.Timer(1.5, kill, [living])
    gone.start()
    parent.close_trials([Trial(0, {}, Status.failed, error="its worker died")], patience=60.0)
    gone.join()
    assert ends(parent)["0"] == ("FAILED", "failed")
