"""`-m`: every combination is a job with records of its own, below one parent run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from heldout.errors import RUNS_FAILED
from heldout.record import Record, find_records
from tests.conftest import ROOT
from tests.e2e.conftest import Command

pytestmark = pytest.mark.timeout(120)

QUICK = ("trainer.max_epochs=2", "tracking.system_metrics_seconds=null")


def runs_by_kind() -> dict[str, list[Run]]:
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    found: dict[str, list[Run]] = {"multirun": [], "configuration": [], "run": []}
    for run in client.search_runs([e.experiment_id for e in client.search_experiments()]):
        found[run.data.tags["heldout.kind"]].append(run)
    return found


def jobs() -> list[Path]:
    return sorted(path for path in Path("multirun").glob("*/*/*") if path.is_dir() and path.name.isdigit())


def test_every_combination_is_a_job_below_one_parent_run(command: Command) -> None:
    done = command("train", "-m", "model=mlp,logistic", "data=digits,breast_cancer", "seeds=[0,1]", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr

    assert [job.name for job in jobs()] == ["0", "1", "2", "3"]
    trained = set()
    for job in jobs():
        records = [Record.load(folder) for folder in find_records(job)]
        assert [record.info["seed"] for record in records] == [0, 1]
        assert {record.info["status"] for record in records} == {"finished"}
        trained.add((records[0].info["family"], records[0].info["data"]))
    assert trained == {(model, data) for model in ("mlp", "logistic") for data in ("digits", "breast_cancer")}

    found = runs_by_kind()
    (parent,) = found["multirun"]
    assert parent.info.status == "FINISHED"
    assert len(found["configuration"]) == 4
    assert {run.data.tags["mlflow.parentRunId"] for run in found["configuration"]} == {parent.info.run_id}
    below = [run.data.tags["mlflow.parentRunId"] for run in found["run"]]
    assert sorted(below) == sorted(2 * [run.info.run_id for run in found["configuration"]])


def test_a_combination_that_cannot_be_is_refused_before_anything_is_written(command: Command) -> None:
    done = command("train", "-m", "model=cnn,mlp", "data=breast_cancer", *QUICK)
    assert done.returncode == 2
    assert "model=cnn with data=breast_cancer" in done.stderr
    assert list(Path().iterdir()) == []


def test_a_glob_stands_for_the_models_and_not_for_their_schemas(command: Command) -> None:
    done = command("train", "-m", "model=glob([maj*,log*,schema_majority])", "data=digits", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [Record.load(find_records(job)[0]).info["family"] for job in jobs()] == ["logistic", "majority"]


@pytest.mark.parametrize(
    ("override", "expected"), [("model=glob(zz*)", "random_forest"), ("modl=glob(*)", "Did you mean 'model'?")]
)
def test_a_glob_that_matches_nothing_is_refused(command: Command, override: str, expected: str) -> None:
    done = command("train", "-m", override, "data=digits")
    assert done.returncode == 2
    assert override in done.stderr
    assert expected in done.stderr
    assert list(Path().iterdir()) == []


def test_a_configuration_that_diverges_leaves_the_others_alone(command: Command) -> None:
    # the learning rate at which the first step already overflows
    done = command("train", "-m", "data=digits", "model=mlp", "optimizer=sgd", "model.learning_rate=1e12,0.01", *QUICK)
    assert done.returncode == RUNS_FAILED, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    failed, finished = [Record.load(find_records(job)[0]).info for job in jobs()]
    assert (failed["status"], finished["status"]) == ("failed", "finished")
    assert "at step" in failed["error"]
    assert sorted(run.info.status for run in runs_by_kind()["run"]) == ["FAILED", "FINISHED"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_ends_all_runs_as_killed(environment: dict[str, str], number: int) -> None:
    process = subprocess.Popen(
        [
            sys.executable, str(ROOT / "pipelines" / "train.py"), "-m", "data=digits", "model=mlp,cnn",
            "trainer.max_epochs=5000", "trainer.checkpoint_seconds=0", "tracking.system_metrics_seconds=null",
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(Path(".heldout/state").glob("*/seed-0/last.ckpt")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, number)
    said = process.communicate(timeout=30)[0]
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said
    found = runs_by_kind()
    assert [len(found[kind]) for kind in ("multirun", "configuration", "run")] == [1, 1, 1], "the next job never began"
    assert {run.info.status for runs in found.values() for run in runs} == {"KILLED"}
