"""A cluster with the overlay `test` in it, reached by kubectl as the documentation has it.

HELDOUT_KUBE_CONTEXT=NAME takes a cluster that is there, with the images of k8s/overlays/test; else one is made on this
machine, and removed in the end. HELDOUT_K8S_CACHE: where builds are kept, by default a folder in the user's cache.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.conftest import ROOT
from tests.k8s.cluster import images, needs
from tests.k8s.cluster.node import Node
from tests.k8s.kills import kill_five_times
from tests.k8s.kube import Kube, eventually

CACHE = Path(os.environ.get("HELDOUT_K8S_CACHE") or Path.home() / ".cache/heldout-k8s")
CONTEXT = os.environ.get("HELDOUT_KUBE_CONTEXT")
Edit = Callable[[dict[str, Any], dict[str, Any]], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("k8s")
            # a test's own: a cluster that is built first may take a quarter of an hour
            given = item.get_closest_marker("timeout")
            item.add_marker(pytest.mark.timeout(given.args[0] if given else 300, func_only=True), append=False)


@pytest.fixture(scope="session")
def kube() -> Iterator[Kube]:
    """kubectl, in a cluster with images and without anything of ours."""
    if CONTEXT:
        yield Kube(["--context", CONTEXT])
        return
    if reason := needs.missing(CACHE):
        pytest.skip(reason)
    node = Node(*images.build(CACHE))
    try:
        node.up()
        with node.network():
            yield Kube(["--kubeconfig", str(node.kubeconfig)])
    finally:
        node.down()
    assert not node.left_behind()


@pytest.fixture(scope="session")
def cluster(kube: Kube) -> Kube:
    """The cluster with everything of the overlay `test` ready."""
    kube("apply", "-k", str(ROOT / "k8s/overlays/test"))
    made = subprocess.run(
        [str(ROOT / "k8s/make-secrets")], env=kube.environment, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    for workload in ("statefulset/postgres", "statefulset/s3", "deployment/mlflow"):
        kube("rollout", "status", workload, "--timeout=180s")
    return kube


@pytest.fixture(scope="module")
def mlflow_address(cluster: Kube) -> Iterator[str]:
    """The address of the server behind a forwarded port, with the login of jobs in this process's environment."""
    port = 5000
    login = {name: cluster.secret("heldout-mlflow", name) for name in ("username", "password")}
    os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = login.values()
    # the S3 service is within the cluster: artifacts come through the server
    os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"] = "false"
    with cluster.forwarded("service/mlflow", port) as address:
        yield address


@pytest.fixture(scope="session")
def submit(cluster: Kube) -> Callable[..., str]:
    """Runs `heldout job ARGUMENTS | kubectl create -f -`; returns the name of the Job.

    `edit` changes the spec of the Job and that of its pods on the way.
    """

    def run(kind: str, name: str, *arguments: str, cpu: str = "1", edit: Edit | None = None) -> str:
        # in a cluster that was there, an earlier run of the tests has left Jobs and runs
        name = f"{name}-{secrets.token_hex(2)}"
        done = subprocess.run(
            [sys.executable, "-m", "heldout", "job", kind, *arguments, "--name", name, "--image", images.HELDOUT],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        job = yaml.safe_load(done.stdout)
        pod = job["spec"]["template"]["spec"]
        # of several pods on one node of two cores
        pod["containers"][0]["resources"]["requests"]["cpu"] = cpu
        if edit is not None:
            edit(job["spec"], pod)
        cluster("create", "-f", "-", stdin=yaml.safe_dump(job))
        return name

    return run


@pytest.fixture(scope="session")
def disturbed(cluster: Kube, submit: Callable[..., str]) -> Iterator[Future[tuple[str, str]]]:
    """What `kill_five_times` returns, which mostly waits: it goes on beside other tests."""
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(kill_five_times, cluster, submit)


@pytest.fixture(scope="session", autouse=True)
def _begin_with_what_takes_longest(request: pytest.FixtureRequest) -> None:
    if any("disturbed" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("disturbed")


@pytest.fixture
def gpus(cluster: Kube) -> Iterator[Callable[[int], None]]:
    """Has the first node say that it has so many GPUs; nothing can be computed on them."""
    node = cluster.get("nodes")["items"][0]["metadata"]["name"]

    def give(count: int) -> None:
        cluster("label", "node", node, "nvidia.com/gpu.present=true", "--overwrite")
        patch(f'{{"op": "add", "path": "/status/capacity/nvidia.com~1gpu", "value": "{count}"}}')
        # the kubelet makes it allocatable when it looks next
        eventually(lambda: cluster.get("node", node)["status"]["allocatable"].get("nvidia.com/gpu") == str(count), 90)

    def patch(*operations: str) -> None:
        cluster("patch", "node", node, "--subresource=status", "--type=json", "-p", f"[{','.join(operations)}]")

    yield give
    cluster("label", "node", node, "nvidia.com/gpu.present-")
    patch(*(f'{{"op": "remove", "path": "/status/{part}/nvidia.com~1gpu"}}' for part in ("capacity", "allocatable")))


def runs_of(address: str, job: str, kind: str = "run") -> list[Run]:
    """What a Job has left in MLflow, in any experiment: of `kind` run, trial or prediction."""
    client = MlflowClient(address)
    experiments = [one.experiment_id for one in client.search_experiments()]
    wanted = f"tags.\"heldout.job\" = '{job}' and tags.\"heldout.kind\" = '{kind}'"
    return list(client.search_runs(experiments, wanted))


def losses(address: str, run: Run) -> list[tuple[int, float]]:
    """The loss on train of every epoch."""
    history = MlflowClient(address).get_metric_history(run.info.run_id, "train/loss")
    return [(metric.step, metric.value) for metric in history]
