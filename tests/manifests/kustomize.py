"""What kustomize builds from a folder of k8s/, and the pods in it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT

K8S = ROOT / "k8s"
# the volume types of Pod Security's standard `restricted`
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}

Object = dict[str, Any]


def built(folder: str | Path) -> list[Object]:
    """The objects of a kustomization, in a folder below k8s/ or another."""
    done = subprocess.run(["kubectl", "kustomize", str(K8S / folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def built_components(*names: str) -> list[Object]:
    """The objects that components add, which cannot be built alone."""
    with tempfile.TemporaryDirectory() as folder:
        # kustomize wants paths that are relative, between real ones
        here = Path(folder).resolve()
        paths = [os.path.relpath(K8S / "components" / name, here) for name in names]
        (here / "kustomization.yaml").write_text(yaml.safe_dump({"namespace": "heldout", "components": paths}))
        return built(here)


def of_kind(objects: list[Object], kind: str, name: str | None = None) -> Object:
    (found,) = [one for one in objects if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    return found


def pod_templates(node: Any) -> Iterator[Object]:
    """Every template of a pod in an object, wherever it stands."""
    if isinstance(node, dict):
        if "spec" in node and isinstance(node["spec"], dict) and "containers" in node["spec"]:
            yield node
        for child in node.values():
            yield from pod_templates(child)
    elif isinstance(node, list):
        for child in node:
            yield from pod_templates(child)


def check_restricted(template: Object) -> None:
    """Fails where a pod would not pass the restricted standard, or asks for more than it should."""
    pod = template["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] == 10001
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"].startswith("heldout-")
    assert pod["enableServiceLinks"] is False
    volumes = pod["volumes"]
    assert {kind for volume in volumes for kind in volume if kind != "name"} <= VOLUMES
    assert all("sizeLimit" in volume["emptyDir"] for volume in volumes if "emptyDir" in volume)
    assert template["metadata"]["labels"]["app.kubernetes.io/part-of"] == "heldout"
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        assert container["imagePullPolicy"] == "IfNotPresent"
        for variable in container.get("env") or []:
            if variable["name"].endswith(("TOKEN", "PASSWORD", "USERNAME", "KEY", "KEY_ID")):
                assert set(variable["valueFrom"]) == {"secretKeyRef"}, variable["name"]
