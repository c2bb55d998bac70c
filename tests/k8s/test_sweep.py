"""A sweep on a Ray cluster of the cluster, whose parts are lost one after the other."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from mlflow import MlflowClient

from tests.conftest import ROOT
from tests.k8s.conftest import eventually
from tests.k8s.kube import Kube

TRIALS = 32
TUNE = (
    "hydra/sweeper=ray_tune",
    "cluster=kubernetes",
    f"sweep.trials={TRIALS}",
    "sweep.refit.top=0",
    "tracking.start_seconds=180",
)
FIT = ("data=digits", "model=mlp", "trainer.max_epochs=40", "optimizer.learning_rate=tag(log,interval(1e-4,1e-1))")
AWAY_SECONDS = 60


@pytest.fixture(scope="module")
def ray(cluster: Kube) -> Iterator[Kube]:
    cluster("apply", "-k", str(ROOT / "k8s/overlays/test-ray"))
    for deployment in ("ray-head", "ray-worker"):
        cluster("rollout", "status", f"deployment/{deployment}", "--timeout=240s")
    yield cluster
    cluster("delete", "deployment", "ray-head", "ray-worker")


@pytest.mark.timeout(900)
def test_a_worker_then_the_head_then_the_tracking_server_are_lost(
    ray: Kube, submit: Callable[..., str], mlflow_address: str
) -> None:
    name = f"search-{secrets.token_hex(2)}"
    job = submit("sweep", "search", "-m", *TUNE, *FIT, f"sweep.name={name}", cpu="100m")
    eventually(lambda: ended(mlflow_address, job) >= 4, 180, 2)
    ray("delete", "pod", one_of(ray, "ray-worker"), "--grace-period=0", "--force")
    eventually(lambda: ended(mlflow_address, job) >= 10, 180, 2)
    ray("delete", "pod", one_of(ray, "ray-head"), "--grace-period=0", "--force")
    eventually(lambda: ended(mlflow_address, job) >= 16, 300, 2)
    ray("scale", "deployment/mlflow", "--replicas=0")
    ray("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=mlflow", "--timeout=90s")
    time.sleep(AWAY_SECONDS)
    ray("scale", "deployment/mlflow", "--replicas=1")
    ray("rollout", "status", "deployment/mlflow", "--timeout=180s")
    assert ray.wait_for_job(job, 420) == "Complete", ray.said(job)
    with ray.forwarded("service/mlflow", 5000) as address:
        trials = trials_of(address, job)
        assert len(trials) == TRIALS
        assert {run.info.status for run in trials} <= {"FINISHED", "KILLED"}
        outcomes = Counter(run.data.tags["heldout.outcome"] for run in trials)
        assert set(outcomes) <= {"finished", "pruned"}
        numbers = [run.data.tags["heldout.trial"] for run in trials]
        assert len(set(numbers)) == TRIALS


def trials_of(address: str, job: str) -> list:
    client = MlflowClient(address)
    experiments = [one.experiment_id for one in client.search_experiments()]
    wanted = f"tags.\"heldout.job\" = '{job}' and tags.\"heldout.kind\" = 'trial'"
    return list(client.search_runs(experiments, wanted))


def ended(address: str, job: str) -> int:
    return sum(run.info.status in ("FINISHED", "KILLED") for run in trials_of(address, job))


def one_of(kube: Kube, name: str) -> str:
    return str(kube.get("pods", "-l", f"app.kubernetes.io/name={name}")["items"][0]["metadata"]["name"])
