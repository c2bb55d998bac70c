"""A training may be killed at any moment; the same command goes on as the same MLflow run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from tests.conftest import ROOT

from heldout.record import Record

COMMAND = [
    sys.executable, str(ROOT / "pipelines" / "train.py"), "data=digits", "model=mlp", "model.dropout=0.2",
    "trainer.max_epochs=120", "trainer.checkpoint_seconds=0", "seeds=[0,1]", "tracking.system_metrics_seconds=null",
]  # fmt: skip
EPOCHS = 120


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(workplace: Path, warm_process: dict[str, str]) -> Start:
    def begin(out: str, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, f"out={out}", *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **warm_process},
        )

    return begin


def training_process() -> int:
    """The process that trains, which is not the one that was started but a fork of the warm one."""
    (lock,) = Path(".heldout/state").glob("*.lock")
    return int(lock.read_text().split()[0])


def wait_for_checkpoint(process: subprocess.Popen[str], seed: int) -> None:
    deadline = time.monotonic() + 120
    while not list(Path(".heldout/state").glob(f"*/seed-{seed}/last.ckpt")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "seed"), [pytest.param(signal.SIGKILL, 0, marks=pytest.mark.kills), (signal.SIGTERM, 1)]
)
def test_a_killed_training_goes_on_as_the_same_run(start: Start, number: int, seed: int) -> None:
    process = start("out")
    wait_for_checkpoint(process, seed)
    os.kill(training_process(), number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert not Path("out").exists() or not list(Path("out").glob("seed-*")), "nothing half-written"
    if number == signal.SIGTERM:
        client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
        assert "KILLED" in {r.info.status for r in client.search_runs(["1"])}

    resumed = start("out")
    output = resumed.communicate(timeout=120)[0]
    assert resumed.returncode == 0, output
    straight = start("straight", "resume=never")
    output = straight.communicate(timeout=120)[0]
    assert straight.returncode == 0, output

    for index in (0, 1):
        one, other = Record.load(f"out/seed-{index}"), Record.load(f"straight/seed-{index}")
        columns = ["epoch", "step", "split", "loss", "accuracy"]
        assert one.history[columns].equals(other.history[columns]), "as if it had never been interrupted"
        assert one.info["hashes"]["model"] == other.info["hashes"]["model"]

    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    for index in (0, 1):
        run_id = Record.load(f"out/seed-{index}").info["mlflow"]["run_id"]
        assert client.get_run(run_id).info.status == "FINISHED"
        points = client.get_metric_history(run_id, "validation/loss")
        assert sorted(p.step for p in points) == list(range(1, EPOCHS + 1)), "no epoch lost, none twice"
    assert len(client.search_runs(["1"])) == 2 * 3, "one parent and two children a training"
    assert not list(Path(".heldout/state").glob("*/")), "no state is left of what is done"


def test_the_same_training_twice_at_once_is_refused(start: Start) -> None:
    first = start("out")
    wait_for_checkpoint(first, 0)
    second = start("other")
    output = second.communicate(timeout=60)[0]
    trains = training_process()
    os.kill(trains, signal.SIGKILL)
    first.communicate()
    assert second.returncode == 2
    assert f"is being trained by process {trains}" in output
