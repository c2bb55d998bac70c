"""A training whose pods are lost, moved and killed."""

from __future__ import annotations

import math
from collections import Counter
from concurrent.futures import Future

import pytest

from tests.k8s.conftest import losses, runs_of
from tests.k8s.kube import Kube


@pytest.mark.timeout(600)
def test_killed_five_times_it_is_one_run_with_every_epoch_once(
    cluster: Kube, disturbed: Future[tuple[str, str]], mlflow_address: str
) -> None:
    whole_job, killed_job = disturbed.result(timeout=500)
    for one in (whole_job, killed_job):
        assert cluster.wait_for_job(one) == "Complete", cluster.said(one)
    [whole], [killed] = runs_of(mlflow_address, whole_job), runs_of(mlflow_address, killed_job)
    assert killed.info.status == "FINISHED"
    steps = Counter(step for step, _ in losses(mlflow_address, killed))
    assert set(steps.values()) == {1}, "no metric twice"
    expected, found = losses(mlflow_address, whole), losses(mlflow_address, killed)
    assert len(expected) == len(found)
    assert all(math.isclose(a[1], b[1], rel_tol=1e-5) for a, b in zip(expected, found, strict=True))
