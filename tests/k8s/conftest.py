"""A cluster with the overlay `test` in it, reached by kubectl as the documentation has it.

HELDOUT_KUBE_CONTEXT=NAME takes a cluster that is there, with the images of k8s/overlays/test; else one is made on this
machine, and removed in the end. HELDOUT_K8S_CACHE: where builds are kept, by default a folder in the user's cache.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.k8s.cluster import binaries, images, needs
from tests.k8s.cluster.node import Node
from tests.k8s.kube import Kube

CACHE = Path(os.environ.get("HELDOUT_K8S_CACHE") or Path.home() / ".cache/heldout-k8s")
CONTEXT = os.environ.get("HELDOUT_KUBE_CONTEXT")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("k8s")


@pytest.fixture(scope="session")
def kube() -> Iterator[Kube]:
    """kubectl, in a cluster with images and without anything of ours."""
    if CONTEXT:
        yield Kube(["--context", CONTEXT])
        return
    if reason := needs.missing(CACHE):
        pytest.skip(reason)
    programs = binaries.build(CACHE)
    node = Node(programs)
    try:
        node.up()
        images.load(node, CACHE, programs)
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


@pytest.fixture
def mlflow_address(cluster: Kube) -> Iterator[str]:
    """The address of the server behind a forwarded port, with the login of jobs in this process's environment."""
    port = 5000
    login = {name: cluster.secret("heldout-mlflow", name) for name in ("username", "password")}
    os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = login.values()
    # the S3 service is within the cluster: artifacts come through the server
    os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"] = "false"
    with cluster.forwarded("service/mlflow", port) as address:
        yield address


@pytest.fixture
def submit(cluster: Kube) -> Callable[..., str]:
    """Runs `heldout job ARGUMENTS | kubectl create -f -`; returns the name of the Job."""

    def run(kind: str, name: str, *arguments: str, cpu: str = "1") -> str:
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
        # of several pods on one node of two cores
        cluster("create", "-f", "-", stdin=done.stdout.replace("cpu: '1'", f"cpu: '{cpu}'"))
        return name

    return run


def eventually(check: Callable[[], object], seconds: float = 60.0, pause: float = 0.5) -> object:
    """The first true value of `check`; fails when there is none in time."""
    end = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(pause)
    return value
