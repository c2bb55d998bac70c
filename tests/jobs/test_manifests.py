"""Every job of k8s/jobs, as kustomize builds it, is one that a restricted namespace takes, and keeps no secret."""

from __future__ import annotations

import functools
import re
import shutil
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.manifests.kustomize import VOLUMES, built, of_kind

JOBS = ROOT / "k8s" / "jobs"
EVERY = sorted(path.parent.name for path in JOBS.glob("*/kustomization.yaml"))
# what brings a backup back stands beside the CronJob that wrote it, with the same rights; the others do Heldout's work
KINDS = [kind for kind in EVERY if kind != "restore"]

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


@functools.cache
def built_job(kind: str) -> dict[str, Any]:
    return of_kind(built(JOBS / kind), "Job")


@pytest.fixture(params=KINDS)
def job(request: pytest.FixtureRequest) -> dict[str, Any]:
    return built_job(request.param)


@pytest.fixture(params=EVERY)
def any_job(request: pytest.FixtureRequest) -> dict[str, Any]:
    return built_job(request.param)


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    return dict(job["spec"]["template"]["spec"])


def containers_of(job: dict[str, Any]) -> list[dict[str, Any]]:
    pod = pod_of(job)
    return [*pod.get("initContainers", []), *pod["containers"]]


def test_the_kinds_that_the_issue_names_are_there() -> None:
    assert {"train", "pipeline", "sweep", "predict"} <= set(KINDS)


def test_its_pods_meet_the_restricted_standard(any_job: dict[str, Any]) -> None:
    pod = pod_of(any_job)
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] == 10001
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {kind for volume in pod["volumes"] for kind in volume if kind != "name"} <= VOLUMES
    for container in containers_of(any_job):
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in own


def test_its_pods_hold_no_token_of_the_cluster(any_job: dict[str, Any]) -> None:
    own = "heldout-tracking" if any_job["metadata"]["name"] == "restore" else "heldout-job"
    assert pod_of(any_job)["serviceAccountName"] == own
    assert pod_of(any_job)["automountServiceAccountToken"] is False


def test_it_asks_for_what_it_needs_and_takes_no_more(any_job: dict[str, Any]) -> None:
    for container in containers_of(any_job):
        assert set(container["resources"]["requests"]) >= {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
    assert all("sizeLimit" in volume["emptyDir"] for volume in pod_of(any_job)["volumes"] if "emptyDir" in volume)


def test_secrets_are_only_referred_to(any_job: dict[str, Any]) -> None:
    for container in containers_of(any_job):
        for variable in container["env"]:
            if re.search("PASSWORD|USERNAME|TOKEN|KEY", variable["name"]):
                assert set(variable["valueFrom"]) == {"secretKeyRef"}, variable["name"]


def test_it_works_on_the_volume_and_knows_its_name(job: dict[str, Any]) -> None:
    (container,) = [one for one in pod_of(job)["containers"] if one["name"] == "heldout"]
    assert container["command"] == ["tini", "--"], "with -g, Ray would be ended beside the sweep that it works for"
    assert container["workingDir"] == "/heldout"
    assert {"name": "heldout", "persistentVolumeClaim": {"claimName": "heldout"}} in pod_of(job)["volumes"]
    variables = {variable["name"]: variable for variable in container["env"]}
    path = variables["HELDOUT_JOB"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert path == "metadata.labels['batch.kubernetes.io/job-name']"
    assert {"HELDOUT_POD", "HELDOUT_NAMESPACE"} <= set(variables)
    assert variables["HELDOUT_IMAGE"]["value"] == container["image"] == "heldout.local/heldout:0.1.0"
    assert container["imagePullPolicy"] == "IfNotPresent"


def test_a_mistake_ends_it_and_a_disruption_does_not_count(job: dict[str, Any]) -> None:
    spec = job["spec"]
    rules = spec["podFailurePolicy"]["rules"]
    ends = [rule["onExitCodes"] for rule in rules if rule["action"] == "FailJob"]
    assert [codes["values"] for codes in ends] == [[2, 3]]
    ignored = [rule for rule in rules if rule["action"] == "Ignore"]
    assert any("onPodConditions" in rule for rule in ignored)
    assert any(143 in rule.get("onExitCodes", {}).get("values", []) for rule in ignored)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["podReplacementPolicy"] == "Failed"
    assert pod_of(job)["terminationGracePeriodSeconds"] >= 60


def test_its_pods_are_labelled_for_the_policies_of_the_network(job: dict[str, Any]) -> None:
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/part-of"] == "heldout"
    assert labels["app.kubernetes.io/component"] == job["metadata"]["name"]
    assert labels["heldout.dev/tracking"] == "true"
