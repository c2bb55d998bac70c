"""Trainings launched with kubectl and left alone, and what is made of them."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from mlflow.artifacts import download_artifacts

from tests.k8s.conftest import losses, runs_of
from tests.k8s.kube import Kube

Submit = Callable[..., str]
EPOCHS = 10
FIT = (
    "model=mlp",
    "data=digits",
    f"trainer.max_epochs={EPOCHS}",
    "trainer.patience=null",
    "tracking.system_metrics_seconds=null",
)
FIRST_STEP_SECONDS = 30.0


@pytest.fixture(scope="module")
def alone(cluster: Kube, submit: Submit) -> str:
    """A Job that has ended well."""
    job = submit("train", "alone", *FIT)
    assert cluster.wait_for_job(job) == "Complete", cluster.said(job)
    return job


@pytest.fixture(scope="module")
def others(cluster: Kube, mlflow_address: str, submit: Submit, alone: str) -> dict[str, str]:
    """The names of Jobs that run at the same time, by what they are."""
    [run] = runs_of(mlflow_address, alone)
    # a mistake of the kind that only the pod can see: the file is not on the volume
    table = ("data=table", "data.name=mine", "data.path=mine.csv", "data.target=y")
    return {
        "mistaken": submit("train", "mistaken", *table, "model=mlp", cpu="300m"),
        "predicted": submit("predict", "predicted", f"run={run.info.run_id}", cpu="300m"),
        "two": submit("ddp", "two", *FIT, "name=two", cpu="300m"),
    }


def test_a_job_ends_as_a_run_that_names_it(cluster: Kube, mlflow_address: str, alone: str) -> None:
    [run] = runs_of(mlflow_address, alone)
    assert run.info.status == "FINISHED"
    [pod] = cluster.pods_of(alone)
    assert run.data.tags["heldout.pod"] == pod["metadata"]["name"]
    assert (
        run.data.tags["git.commit"]
        == cluster("exec", "deployment/mlflow", "--", "printenv", "HELDOUT_GIT_COMMIT").strip()
    )
    assert run.data.tags["mlflow.parentRunId"] in cluster.last_word(pod)
    lines = [line for line in cluster.said(alone).splitlines() if "epoch" in line]
    assert len(lines) == EPOCHS, "one line an epoch"
    seconds = _first_epoch(pod, lines[0])
    assert seconds <= FIRST_STEP_SECONDS


def test_a_mistake_ends_the_job_at_once(cluster: Kube, others: dict[str, str]) -> None:
    job = others["mistaken"]
    assert cluster.wait_for_job(job, 120) == "Failed"
    [pod] = cluster.pods_of(job)
    assert "data.path=mine.csv: there is no such file" in cluster.last_word(pod)


def test_what_was_trained_in_one_pod_predicts_in_another(
    cluster: Kube, mlflow_address: str, others: dict[str, str]
) -> None:
    job = others["predicted"]
    assert cluster.wait_for_job(job) == "Complete", cluster.said(job)
    [predicted] = runs_of(mlflow_address, job, "prediction")
    with tempfile.TemporaryDirectory() as folder:
        path = download_artifacts(
            run_id=predicted.info.run_id,
            artifact_path="predictions.parquet",
            dst_path=folder,
            tracking_uri=mlflow_address,
        )
        table = pq.read_table(Path(path))
    assert {"id", "prediction", "probability.0"} <= set(table.column_names)
    assert table.num_rows > 100


def test_over_two_pods_it_gives_the_metrics_of_one(
    cluster: Kube, mlflow_address: str, alone: str, others: dict[str, str]
) -> None:
    job = others["two"]
    assert cluster.wait_for_job(job) == "Complete", cluster.said(job)
    assert len(cluster.pods_of(job)) == 2
    [one], [shared] = runs_of(mlflow_address, alone), runs_of(mlflow_address, job)
    expected, found = losses(mlflow_address, one), losses(mlflow_address, shared)
    assert [step for step, _ in found] == [step for step, _ in expected]
    assert all(math.isclose(a[1], b[1], rel_tol=1e-3) for a, b in zip(expected, found, strict=True))


def _first_epoch(pod: Any, line: str) -> float:
    created = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    # [2026-01-31 12:00:00,000][module]...
    said = datetime.strptime(line[1:20], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return (said - created).total_seconds()
