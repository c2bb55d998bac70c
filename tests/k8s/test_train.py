"""Trainings launched with kubectl, and left alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.k8s.conftest import losses, runs_of
from tests.k8s.kube import Kube

Submit = Callable[..., str]
FIT = ("model=mlp", "data=digits", "trainer.patience=null", "tracking.system_metrics_seconds=null")
FIRST_STEP_SECONDS = 30.0


def test_a_job_ends_as_a_run_that_names_it(cluster: Kube, mlflow_address: str, submit: Submit) -> None:
    job = submit("train", "alone", *FIT, "trainer.max_epochs=5")
    assert cluster.wait_for_job(job) == "Complete", cluster.said(job)
    [run] = runs_of(mlflow_address, job)
    assert run.info.status == "FINISHED"
    [pod] = cluster.pods_of(job)
    assert run.data.tags["heldout.pod"] == pod["metadata"]["name"]
    assert (
        run.data.tags["git.commit"]
        == cluster("exec", "deployment/mlflow", "--", "printenv", "HELDOUT_GIT_COMMIT").strip()
    )
    assert run.data.tags["mlflow.parentRunId"] in cluster.last_word(pod)
    lines = [line for line in cluster.said(job).splitlines() if "epoch" in line]
    assert len(lines) == 5, "one line an epoch"
    seconds = _first_epoch(pod, lines[0])
    assert seconds <= FIRST_STEP_SECONDS


def test_a_mistake_ends_the_job_at_once(cluster: Kube, submit: Submit) -> None:
    # of the kind that only the pod can see: the file is not on the volume
    table = ("data=table", "data.name=mine", "data.path=mine.csv", "data.target=y")
    job = submit("train", "mistaken", *table, "model=mlp")
    assert cluster.wait_for_job(job, 120) == "Failed"
    [pod] = cluster.pods_of(job)
    assert "data.path=mine.csv: there is no such file" in cluster.last_word(pod)


def test_over_two_pods_it_gives_the_metrics_of_one(cluster: Kube, mlflow_address: str, submit: Submit) -> None:
    fit = (*FIT, "trainer.max_epochs=10")
    two, one = submit("ddp", "two", *fit, "name=two", cpu="300m"), submit("train", "one", *fit, "name=one", cpu="300m")
    for job in (two, one):
        assert cluster.wait_for_job(job) == "Complete", cluster.said(job)
    assert len(cluster.pods_of(two)) == 2
    [alone], [shared] = runs_of(mlflow_address, one), runs_of(mlflow_address, two)
    expected, found = losses(mlflow_address, alone), losses(mlflow_address, shared)
    assert [step for step, _ in found] == [step for step, _ in expected]
    assert all(math.isclose(a[1], b[1], rel_tol=1e-3) for a, b in zip(expected, found, strict=True))


def _first_epoch(pod: Any, line: str) -> float:
    created = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    # [2026-01-31 12:00:00,000][module]...
    said = datetime.strptime(line[1:20], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return (said - created).total_seconds()
