"""`heldout repro` may be killed at any moment; the same command goes on from there."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from mlflow.tracking import MlflowClient

from heldout.record import Record, find_records
from tests.e2e.conftest import Command
from tests.e2e.project import Project

pytestmark = pytest.mark.timeout(240)

EPOCHS = 60


@pytest.fixture
def project(tmp_path: Path, warm_process: dict[str, str]) -> Project:
    overrides = ["seeds=[0]", f"trainer.max_epochs={EPOCHS}", "model.dropout=0.1"]
    made = Project(tmp_path, ["mlp"], overrides, warm_process)
    made.edit("conf/trainer/default.yaml", "checkpoint_seconds", 0)
    # this shell stays between DVC and the stage; bash would let the stage take its place
    made.environment["SHELL"] = "/bin/sh"
    return made


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def workers(project: Project) -> list[int]:
    """The processes that work in the project's folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.cwd()) == project.root:
                found.append(process.pid)
    return found


def test_killed_and_interrupted_in_the_middle_of_training_it_completes(project: Project) -> None:
    def is_training(checkpoint_after: float) -> bool:
        found = list((project.root / ".heldout" / "state").glob("*/seed-0/last.ckpt"))
        return any(path.stat().st_mtime > checkpoint_after for path in found)

    for number, send in (
        # as a terminal does
        (signal.SIGINT, os.killpg),
        # as a supervisor does, to the one process it started
        (signal.SIGTERM, os.kill),
        (signal.SIGKILL, os.killpg),
    ):
        begun = time.time()
        process = project.start("heldout")
        wait_until(lambda begun=begun: is_training(begun), process, 90)
        working = workers(project)
        send(process.pid, number)
        said = process.communicate(timeout=30)[0]
        assert process.returncode != 0
        assert "Traceback" not in said
        if number is not signal.SIGKILL:
            assert "the same command goes on from here" in said
            (training,) = [r for r in project.mlflow_runs() if r.data.tags["heldout.kind"] == "run"]
            assert training.info.status == "KILLED"
        gone = time.monotonic() + 20
        # also from the table of processes: DVC waits for those it knows of
        while remaining := [pid for pid in working if psutil.pid_exists(pid)]:
            assert time.monotonic() < gone, f"still there after {number!r}: {remaining}"
            time.sleep(0.05)

    process = project.start("heldout")
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    assert "goes on from its last checkpoint" in said
    assert "Report:" in said
    (record,) = [Record.load(folder) for folder in find_records(project.root / "records" / "digits")]
    assert record.info["status"] == "finished"
    assert sorted(record.history["epoch"].unique()) == list(range(1, EPOCHS + 1))
    client = MlflowClient(f"sqlite:///{project.root}/mlflow.db")
    points = client.get_metric_history(record.info["mlflow"]["run_id"], "validation/loss")
    assert sorted(point.step for point in points) == list(range(1, EPOCHS + 1)), "no epoch lost, none twice"
    assert not list((project.root / ".heldout" / "state").glob("*/")), "no state is left of what is done"


def test_no_stage_begins_after_an_interruption(command: Command) -> None:
    Path("stopped").touch()
    done = command("prepare", "data=digits", HELDOUT_STOPPED=str(Path("stopped").resolve()))
    assert done.returncode == 128 + signal.SIGINT
    assert [path.name for path in Path().iterdir()] == ["stopped"]
