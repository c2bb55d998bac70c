"""The overlay for a pool of GPU nodes, with database and S3 service elsewhere."""

from __future__ import annotations

import shutil

import pytest

from tests.manifests.kustomize import built, built_components, check_restricted, of_kind, pod_templates

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


def test_database_and_bucket_are_elsewhere_and_may_be_reached() -> None:
    objects = built("overlays/gpu")
    assert not {one["metadata"]["name"] for one in objects if one["kind"] == "StatefulSet"}
    for name, port in (("to-postgres", 5432), ("to-s3", 443)):
        (rule,) = of_kind(objects, "NetworkPolicy", name)["spec"]["egress"]
        assert "to" not in rule
        assert [one["port"] for one in rule["ports"]] == [port]
    settings = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "ConfigMap"}
    assert settings["heldout-postgres"]["PGSSLMODE"] == "require"
    assert settings["heldout-s3"]["MLFLOW_ARTIFACTS_DESTINATION"].startswith("s3://")
    assert "AWS_ENDPOINT_URL_S3" not in settings["heldout-s3"]


def test_who_speaks_to_the_database_or_the_bucket_has_their_settings() -> None:
    objects = built("overlays/gpu")
    for kind, name in (("Deployment", "mlflow"), ("CronJob", "backup")):
        (template,) = pod_templates(of_kind(objects, kind, name))
        for container in [*template["spec"]["initContainers"], *template["spec"]["containers"]]:
            sources = {source["configMapRef"]["name"] for source in container["envFrom"]}
            variables = {variable["name"] for variable in container["env"]}
            if variables & {"PGPASSWORD", "POSTGRES_PASSWORD"}:
                assert "heldout-postgres" in sources
            if "AWS_SECRET_ACCESS_KEY" in variables:
                assert "heldout-s3" in sources


def test_its_pods_meet_the_restricted_standard() -> None:
    templates = [template for one in built("overlays/gpu") for template in pod_templates(one)]
    # server, backup, head and workers of Ray
    assert len(templates) == 4
    for template in templates:
        check_restricted(template)


def test_nodes_share_the_volume() -> None:
    assert of_kind(built("overlays/gpu"), "PersistentVolumeClaim", "heldout")["spec"]["accessModes"] == [
        "ReadWriteMany"
    ]


def test_a_worker_of_ray_may_have_a_gpu() -> None:
    worker = of_kind(built_components("ray", "ray-gpu"), "Deployment", "ray-worker")["spec"]["template"]["spec"]
    container = worker["containers"][0]
    assert {"name": "RAY_NODE_GPUS", "value": "1"} in container["env"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert worker["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    without = of_kind(built_components("ray"), "Deployment", "ray-worker")["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "RAY_NODE_GPUS", "value": "0"} in without["env"]
