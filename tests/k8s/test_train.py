"""Trainings launched with kubectl, left alone and killed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.k8s.conftest import eventually, runs_of
from tests.k8s.kube import JOB_LABEL, Kube

Submit = Callable[..., str]
FIT = ("model=mlp", "data=digits", "trainer.patience=null", "tracking.system_metrics_seconds=null")
FIRST_STEP_SECONDS = 30.0


def losses(address: str, run: Run) -> list[tuple[int, float]]:
    history = MlflowClient(address).get_metric_history(run.info.run_id, "train/loss")
    return [(metric.step, metric.value) for metric in history]


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


@pytest.mark.timeout(600)
def test_killed_five_times_it_is_one_run_with_every_epoch_once(
    cluster: Kube, mlflow_address: str, submit: Submit
) -> None:
    fit = (*FIT, "trainer.max_epochs=200", "trainer.batch_size=8")
    undisturbed = submit("train", "whole", *fit)
    job = submit("train", "killed", *fit, "name=killed")
    # A Job waits 10 seconds before its second pod, then twice as long each time.
    for kill in (lost, drained, None, out_of_memory, deleted):
        pod = str(eventually(lambda job=job: _running(cluster, job), 120))
        eventually(lambda pod=pod: "epoch" in cluster.log(pod), 90, 0.2)
        if kill is None:
            cluster("delete", "job", job)
            job = submit("train", "killed", *fit, "name=killed")
        else:
            kill(cluster, pod)
    for one in (job, undisturbed):
        assert cluster.wait_for_job(one) == "Complete", cluster.said(one)
    [whole], [killed] = runs_of(mlflow_address, undisturbed), runs_of(mlflow_address, job)
    assert killed.info.status == "FINISHED"
    steps = Counter(step for step, _ in losses(mlflow_address, killed))
    assert set(steps.values()) == {1}, "no metric twice"
    expected, found = losses(mlflow_address, whole), losses(mlflow_address, killed)
    assert len(expected) == len(found)
    assert all(math.isclose(a[1], b[1], rel_tol=1e-5) for a, b in zip(expected, found, strict=True))


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


def lost(cluster: Kube, pod: str) -> None:
    """At once, as when a node is lost."""
    cluster("delete", "pod", pod, "--grace-period=0", "--force")


def deleted(cluster: Kube, pod: str) -> None:
    """With the time to write a checkpoint."""
    cluster("delete", "pod", pod)


def drained(cluster: Kube, pod: str) -> None:
    """Evicted, as all pods are when a node is emptied; here the others may stay."""
    node = cluster.get("pod", pod)["spec"]["nodeName"]
    job = cluster.get("pod", pod)["metadata"]["labels"][JOB_LABEL]
    cluster("drain", node, "--pod-selector", f"{JOB_LABEL}={job}", "--delete-emptydir-data", "--timeout=90s")
    cluster("uncordon", node)


def out_of_memory(cluster: Kube, pod: str) -> None:
    """As the kernel does it: the process in the container, by SIGKILL."""
    first = "next(p for p in os.listdir('/proc') if p.isdigit() and open(f'/proc/{p}/stat').read().split()[3] == '1')"
    cluster("exec", pod, "--", "python", "-c", f"import os; os.kill(int({first}), 9)")


def _running(cluster: Kube, job: str) -> str | None:
    running = [
        pod["metadata"]["name"]
        for pod in cluster.pods_of(job)
        if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
    ]
    return running[0] if running else None


def _first_epoch(pod: Any, line: str) -> float:
    created = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    # [2026-01-31 12:00:00,000][module]...
    said = datetime.strptime(line[1:20], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return (said - created).total_seconds()
