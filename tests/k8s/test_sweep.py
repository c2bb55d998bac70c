"""A sweep on a Ray cluster of the cluster, whose parts are lost one after the other."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import ROOT
from tests.k8s.conftest import runs_of
from tests.k8s.kube import Kube, KubectlFailed, eventually

TRIALS = 32
AWAY_SECONDS = 60
SWEEP = (
    "hydra/sweeper=ray_tune",
    "cluster=kubernetes",
    "sweep.refit.top=0",
    "data=digits",
    "model=mlp",
    "optimizer.learning_rate=tag(log,interval(1e-4,1e-1))",
)
MANY = (*SWEEP, f"sweep.trials={TRIALS}", "trainer.max_epochs=40", "tracking.start_seconds=180")
HALF_A_GPU = (*SWEEP, "sweep.resources.gpus=0.5", "sweep.resources.cpus=0.25", "trainer.accelerator=cpu")


@pytest.fixture(scope="module")
def ray(cluster: Kube) -> Iterator[Kube]:
    cluster("apply", "-k", str(ROOT / "k8s/overlays/test-ray"))
    for deployment in ("ray-head", "ray-worker"):
        cluster("rollout", "status", f"deployment/{deployment}", "--timeout=240s")
    yield cluster
    cluster("delete", "deployment", "ray-head", "ray-worker")


def test_ray_lets_nobody_in_without_its_token(ray: Kube) -> None:
    asked = "RAY_AUTH_TOKEN=of-another-cluster ray status --address=ray-head:6379"
    with pytest.raises(KubectlFailed, match="InvalidAuthToken"):
        ray("exec", "deployment/ray-worker", "--", "sh", "-c", asked)


@pytest.mark.timeout(900)
def test_a_worker_then_the_head_then_the_tracking_server_are_lost(
    ray: Kube, submit: Callable[..., str], mlflow_address: str
) -> None:
    name = f"search-{secrets.token_hex(2)}"
    job = submit("sweep", "search", "-m", *MANY, f"sweep.name={name}", cpu="100m")
    eventually(lambda: "[HYDRA] run " in ray.said(job), 120)
    again = submit("sweep", "again", "-m", *MANY, f"sweep.name={name}", cpu="100m")
    assert ray.wait_for_job(again, 120) == "Failed", "two sweeps of one name at once"
    [pod] = ray.pods_of(again)
    assert f"sweep '{name}'" in ray.last_word(pod)
    ray("delete", "pod", one_of(ray, "ray-worker"), "--grace-period=0", "--force")
    more_end(mlflow_address, job)
    ray("delete", "pod", one_of(ray, "ray-head"), "--grace-period=0", "--force")
    more_end(mlflow_address, job)
    ray("scale", "deployment/mlflow", "--replicas=0")
    ray("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=mlflow", "--timeout=90s")
    back = time.monotonic() + AWAY_SECONDS
    # not for the server that is away
    is_refused_for_want_of_gpus(ray, submit)
    time.sleep(max(0.0, back - time.monotonic()))
    ray("scale", "deployment/mlflow", "--replicas=1")
    ray("rollout", "status", "deployment/mlflow", "--timeout=180s")
    assert ray.wait_for_job(job, 420) == "Complete", ray.said(job)
    trials = runs_of(mlflow_address, job, "trial")
    assert len(trials) == TRIALS
    assert {run.info.status for run in trials} <= {"FINISHED", "KILLED"}
    assert {run.data.tags["heldout.outcome"] for run in trials} <= {"finished", "pruned"}
    assert len({run.data.tags["heldout.trial"] for run in trials}) == TRIALS


@pytest.mark.timeout(600)
def test_trials_share_gpus_where_there_are_some(
    ray: Kube, gpus: Callable[[int], None], submit: Callable[..., str], mlflow_address: str
) -> None:
    gpus(2)
    ray("delete", "deployment", "ray-worker")
    ray("apply", "-k", str(ROOT / "k8s/overlays/test-ray-gpu"))
    # while the workers come, as it would for a pool of nodes that grows
    job = submit(
        *("sweep", "halves", "-m", *HALF_A_GPU, "sweep.trials=8", "trainer.max_epochs=40", "trainer.patience=null"),
        *("sweep.scheduler.name=fifo", f"sweep.name=halves-{secrets.token_hex(2)}", "cluster.wait_seconds=240"),
        cpu="100m",
    )
    assert ray.wait_for_job(job, 300) == "Complete", ray.said(job)
    trials = runs_of(mlflow_address, job, "trial")
    assert [run.info.status for run in trials] == ["FINISHED"] * 8
    pods = {run.data.tags["heldout.pod"] for run in trials}
    assert len(pods) == 2, "a worker has a GPU, and two trials at once"
    spans = {
        pod: [(r.info.start_time, r.info.end_time) for r in trials if r.data.tags["heldout.pod"] == pod] for pod in pods
    }
    assert {most_at_once(times) for times in spans.values()} == {2}


def is_refused_for_want_of_gpus(ray: Kube, submit: Callable[..., str]) -> None:
    arguments = ("-m", *HALF_A_GPU, "sweep.trials=2", "cluster.wait_seconds=5", "sweep.name=none")
    job = submit("sweep", "none", *arguments, cpu="100m")
    assert ray.wait_for_job(job, AWAY_SECONDS) == "Failed"
    [pod] = ray.pods_of(job)
    assert "resources.gpus=0.5: the Ray cluster has" in ray.last_word(pod)
    assert "none has more than 0 GPUs after 5 seconds" in ray.last_word(pod)


def most_at_once(spans: list[tuple[int, int]]) -> int:
    return max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans)


def ended(address: str, job: str) -> int:
    return sum(run.info.status in ("FINISHED", "KILLED") for run in runs_of(address, job, "trial"))


def more_end(address: str, job: str) -> None:
    """Waits until four more trials have ended; some have not even begun."""
    so_far = ended(address, job)
    eventually(lambda: ended(address, job) >= so_far + 4, 300, 1)
    assert ended(address, job) < TRIALS - 4, "what is lost next would not be missed"


def one_of(kube: Kube, name: str) -> str:
    return str(kube.get("pods", "-l", f"app.kubernetes.io/name={name}")["items"][0]["metadata"]["name"])
