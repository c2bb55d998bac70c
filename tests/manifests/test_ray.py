"""Ray on Kubernetes, as kustomize builds it: with Deployments of our own, and for KubeRay, as Ray itself reads it."""

from __future__ import annotations

import re
import shutil
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

from tests.conftest import ROOT
from tests.manifests.kustomize import built, built_components, check_restricted, of_kind, pod_templates

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")

GIBIBYTE = 1 << 30
RAY_JOBS = ["rayjob", "rayjob-queued", "rayjob-rules"]


def cluster_of(variant: str) -> dict[str, Any]:
    """The RayCluster that the operator would make."""
    if variant == "kuberay":
        return of_kind(built_components("kuberay"), "RayCluster")
    job = of_kind(built(f"overlays/gpu/{variant}"), "RayJob")
    return {"metadata": job["metadata"], "spec": job["spec"]["rayClusterSpec"]}


@pytest.mark.parametrize(("variant", "fewest", "most"), [("kuberay", 0, 4), ("rayjob", 0, 4), ("rayjob-queued", 2, 2)])
def test_ray_derives_the_groups_and_gpus_that_are_meant(variant: str, fewest: int, most: int) -> None:
    cluster = cluster_of(variant)
    config = _derive_autoscaling_config_from_ray_cr(cluster)
    head, gpu = config["available_node_types"]["headgroup"], config["available_node_types"]["gpu"]
    assert (head["resources"]["CPU"], head["resources"]["GPU"], head["max_workers"]) == (0, 0, 0)
    assert (gpu["min_workers"], gpu["max_workers"]) == (fewest, most)
    assert gpu["resources"] == {"CPU": 4, "GPU": 1, "memory": 16 * GIBIBYTE}
    assert set(config["available_node_types"]) == {"headgroup", "gpu"}
    if cluster["spec"]["enableInTreeAutoscaling"]:
        assert config["idle_timeout_minutes"] == 2


@pytest.mark.parametrize("folder", ["ray", "kuberay"])
def test_pods_of_ray_meet_the_restricted_standard(folder: str) -> None:
    templates = list(pod_templates(built_components(folder)))
    assert len(templates) == 2
    for template in templates:
        check_restricted(template)
        assert template["metadata"]["labels"]["heldout.dev/ray"] == "true"
        assert {"name": "shm", "mountPath": "/dev/shm"} in template["spec"]["containers"][0]["volumeMounts"]


@pytest.mark.parametrize("variant", RAY_JOBS)
def test_pods_of_a_ray_job_meet_the_restricted_standard(variant: str) -> None:
    job = of_kind(built(f"overlays/gpu/{variant}"), "RayJob")
    templates = list(pod_templates(job))
    # head, workers, submitter
    assert len(templates) == 3
    for template in templates:
        check_restricted(template)
        assert template["spec"]["containers"][0]["image"] == "heldout.local/heldout:0.1.0"
    if options := job["spec"]["rayClusterSpec"].get("autoscalerOptions"):
        assert options["securityContext"]["readOnlyRootFilesystem"] is True
        assert options["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("folder", ["ray", "kuberay"])
def test_both_ways_have_the_address_that_sweeps_join(folder: str) -> None:
    address = yaml.safe_load((ROOT / "conf" / "cluster" / "kubernetes.yaml").read_text())["address"]
    objects = built_components(folder)
    if folder == "ray":
        service = of_kind(objects, "Service")
    else:
        service = cluster_of("kuberay")["spec"]["headGroupSpec"]["headService"]
    assert address == f"{service['metadata']['name']}:6379"
    # the address of the pod itself, as Ray takes any port
    assert service["spec"]["clusterIP"] == "None"


def test_nobody_reaches_the_client_port_or_the_dashboard() -> None:
    objects = built_components("ray")
    (rule,) = of_kind(objects, "NetworkPolicy", "ray")["spec"]["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": {"heldout.dev/ray": "true"}}}]
    open_ports = [range(one["port"], one.get("endPort", one["port"]) + 1) for one in rule["ports"]]
    assert not any(port in ports for ports in open_ports for port in (8265, 10001))
    arguments = of_kind(objects, "Deployment", "ray-head")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--dashboard-host=127.0.0.1" in arguments
    assert cluster_of("kuberay")["spec"]["headGroupSpec"]["rayStartParams"]["dashboard-host"] == "127.0.0.1"


def test_a_trial_may_take_the_cpus_that_its_pod_asks_for() -> None:
    worker = of_kind(built_components("ray"), "Deployment", "ray-worker")["spec"]["template"]["spec"]["containers"][0]
    (cpus,) = [one for one in worker["env"] if one["name"] == "RAY_NODE_CPUS"]
    assert cpus["valueFrom"]["resourceFieldRef"]["resource"] == "requests.cpu"
    assert '--num-cpus="$RAY_NODE_CPUS"' in worker["args"][-1]


def test_the_operator_is_told_the_version_of_the_lock() -> None:
    (locked,) = re.findall(r"^ray\[?.*?\]?==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert cluster_of("kuberay")["spec"]["rayVersion"] == locked


def test_a_queued_ray_job_is_one_that_kueue_takes() -> None:
    queue = of_kind(built_components("kueue"), "LocalQueue")["metadata"]["name"]
    job = of_kind(built("overlays/gpu/rayjob-queued"), "RayJob")
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == queue
    assert job["spec"]["suspend"] is True
    assert job["spec"]["shutdownAfterJobFinishes"] is True
    assert job["spec"]["rayClusterSpec"]["enableInTreeAutoscaling"] is False
    covered = of_kind(built_components("kueue"), "ClusterQueue")["spec"]["resourceGroups"][0]["coveredResources"]
    wanted = [c["resources"]["requests"] for t in pod_templates(job) for c in t["spec"]["containers"]]
    assert {name for requests in wanted for name in requests} <= set(covered)


def test_rules_of_deletion_stand_in_the_place_of_a_shutdown() -> None:
    spec = of_kind(built("overlays/gpu/rayjob-rules"), "RayJob")["spec"]
    assert not {"shutdownAfterJobFinishes", "ttlSecondsAfterFinished"} & set(spec)
    rules = {
        (rule["policy"], next(iter(rule["condition"].values()))) for rule in spec["deletionStrategy"]["deletionRules"]
    }
    assert {("DeleteCluster", "SUCCEEDED"), ("DeleteCluster", "FAILED"), ("DeleteCluster", "Failed")} <= rules


@pytest.mark.parametrize("kind", ["train-gpu", "ddp-gpu"])
def test_a_job_on_gpus_goes_where_they_are(kind: str) -> None:
    pod = of_kind(built(f"jobs/{kind}"), "Job")["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_nodes_of_a_training_find_each_other_by_name() -> None:
    service = of_kind(built_components("ddp"), "Service")
    job = of_kind(built("jobs/ddp"), "Job")
    template = job["spec"]["template"]
    assert job["spec"]["completionMode"] == "Indexed"
    assert f"trainer.nodes={job['spec']['completions']}" in template["spec"]["containers"][0]["args"]
    assert template["spec"]["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert service["spec"]["publishNotReadyAddresses"] is True
    names = [variable["name"] for variable in template["spec"]["containers"][0]["env"]]
    values = {variable["name"]: variable.get("value") for variable in template["spec"]["containers"][0]["env"]}
    assert values["MASTER_ADDR"] == f"$(HELDOUT_JOB)-0.{service['metadata']['name']}"
    # a variable may only name those before it
    assert names.index("HELDOUT_JOB") < names.index("MASTER_ADDR")
