"""What goes wrong in a cluster, and what the user is told of it where they look."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from tests.k8s.conftest import Edit
from tests.k8s.kube import JOB_LABEL, Kube, KubectlFailed, eventually
from tests.manifests.kustomize import built, of_kind, pod_templates

Submit = Callable[..., str]
Spec = dict[str, Any]
FIT = ("model=mlp", "data=digits", "trainer.max_epochs=2", "tracking.system_metrics_seconds=null")
# bound to another node, as a volume that cannot be shared is to the first that took it
ELSEWHERE = """
apiVersion: v1
kind: PersistentVolume
metadata:
  name: heldout-elsewhere
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: heldout-elsewhere
  local: {path: /srv}
  nodeAffinity:
    required:
      nodeSelectorTerms:
        - matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [another-node]}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: elsewhere
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: heldout-elsewhere
  resources: {requests: {storage: 1Gi}}
"""


def secret_is(name: str) -> Edit:
    """The login of the job is in the Secret `name`."""

    def edit(job: Spec, pod: Spec) -> None:
        for variable in pod["containers"][0]["env"]:
            if variable["name"].startswith("MLFLOW_TRACKING"):
                variable["valueFrom"]["secretKeyRef"]["name"] = name

    return edit


def image_is_absent(job: Spec, pod: Spec) -> None:
    pod["containers"][0]["image"] = "heldout.local/absent:1"


def volume_is_elsewhere(job: Spec, pod: Spec) -> None:
    pod["volumes"][0] = {"name": "heldout", "persistentVolumeClaim": {"claimName": "elsewhere"}}


def volume_is_small(job: Spec, pod: Spec) -> None:
    pod["volumes"][0] = {"name": "heldout", "emptyDir": {"medium": "Memory", "sizeLimit": "100Ki"}}


def memory_is_short(job: Spec, pod: Spec) -> None:
    pod["containers"][0]["resources"] = {
        "requests": {"cpu": "100m", "memory": "100Mi"},
        "limits": {"memory": "100Mi"},
    }


def gives_up_soon(job: Spec, pod: Spec) -> None:
    assert job["activeDeadlineSeconds"] >= 24 * 3600, "a training of a day is none that hangs"
    job["activeDeadlineSeconds"] = 20
    pod["containers"][0]["resources"]["requests"]["memory"] = "1Gi"


@pytest.fixture(scope="module")
def begun(cluster: Kube, submit: Submit) -> Iterator[dict[str, str]]:
    """Jobs that cannot go well, all at once, by what is wrong with them."""
    cluster("apply", "-f", "-", stdin=ELSEWHERE)
    wrong = ("--from-literal=username=heldout", "--from-literal=password=of-another-server")
    cluster("delete", "secret", "wrong-login", "--ignore-not-found")
    cluster("create", "secret", "generic", "wrong-login", *wrong)

    def fit(what: str, *arguments: str, edit: Edit | None = None, kind: str = "train") -> str:
        # of two trainings that are the same, one waits for the other
        return submit(kind, what, *FIT, f"name={what}", *arguments, cpu="100m", edit=edit)

    with ThreadPoolExecutor(2) as threads:
        begun = {
            "gpu": threads.submit(fit, "gpu", edit=gives_up_soon, kind="train-gpu"),
            "secret": threads.submit(fit, "no-secret", edit=secret_is("absent")),
            "image": threads.submit(fit, "no-image", edit=image_is_absent),
            "elsewhere": threads.submit(fit, "elsewhere", edit=volume_is_elsewhere),
            "login": threads.submit(fit, "wrong-login", edit=secret_is("wrong-login")),
            "full": threads.submit(fit, "full", edit=volume_is_small),
            "memory": threads.submit(fit, "no-memory", edit=memory_is_short),
            "away": threads.submit(fit, "away", "tracking.uri=http://nowhere:5000", "tracking.start_seconds=5"),
        }
        jobs = {what: job.result() for what, job in begun.items()}
    yield jobs
    cluster("delete", "job", *jobs.values())
    cluster("delete", "-f", "-", stdin=ELSEWHERE)


@pytest.fixture(scope="module")
def servers(cluster: Kube) -> Iterator[dict[str, str]]:
    """Pods as those of MLflow's server, with something wrong, by what it is."""
    template = cluster.get("deployment", "mlflow")["spec"]["template"]["spec"]
    pods = {
        "nowhere": {"POSTGRES_HOST": "nowhere", "HELDOUT_SERVICE_SECONDS": "5"},
        "password": {"POSTGRES_PASSWORD": "another"},
        "bucket": {"MLFLOW_ARTIFACTS_DESTINATION": "s3://missing"},
    }
    for what, values in pods.items():
        spec = copy.deepcopy(template)
        spec["restartPolicy"] = "Never"
        prepare = spec["initContainers"][0]
        kept = [one for one in prepare["env"] if one["name"] not in values]
        # a variable may only name those before it
        prepare["env"] = [*({"name": name, "value": value} for name, value in values.items()), *kept]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"mlflow-{what}"}, "spec": spec}
        cluster("delete", "pod", f"mlflow-{what}", "--ignore-not-found")
        cluster("create", "-f", "-", stdin=yaml.safe_dump(pod))
    yield {what: f"mlflow-{what}" for what in pods}
    cluster("delete", "pod", *(f"mlflow-{what}" for what in pods))


def test_a_secret_that_is_missing_is_named(cluster: Kube, begun: dict[str, str]) -> None:
    pod = described(cluster, begun["secret"], "CreateContainerConfigError")
    assert 'secret "absent" not found' in pod


def test_an_image_that_is_missing_is_named(cluster: Kube, begun: dict[str, str]) -> None:
    pod = described(cluster, begun["image"], "ErrImagePull")
    assert "heldout.local/absent:1" in pod


def test_a_volume_of_another_node_is_told(cluster: Kube, begun: dict[str, str]) -> None:
    pod = described(cluster, begun["elsewhere"], "FailedScheduling")
    assert "didn't match PersistentVolume's node affinity" in pod


def test_without_a_gpu_it_gives_up_and_says_why(cluster: Kube, begun: dict[str, str]) -> None:
    assert cluster.wait_for_job(begun["gpu"], 90) == "Failed"
    assert "DeadlineExceeded" in cluster("describe", "job", begun["gpu"])
    assert "didn't match Pod's node affinity/selector" in cluster.scheduling(begun["gpu"])


def test_a_login_that_is_wrong_ends_the_job(cluster: Kube, begun: dict[str, str]) -> None:
    assert cluster.wait_for_job(begun["login"], 120) == "Failed"
    [pod] = cluster.pods_of(begun["login"])
    word = cluster.last_word(pod)
    assert "http://mlflow:5000" in word
    assert "MLFLOW_TRACKING_USERNAME" in word
    assert "of-another-server" not in word + cluster.said(begun["login"])


def test_a_server_that_is_away_is_waited_for(cluster: Kube, begun: dict[str, str]) -> None:
    pod = first_ended(cluster, begun["away"])
    assert cluster.ending(pod)["exitCode"] == 75
    assert "http://nowhere:5000" in cluster.last_word(pod)
    assert "conditions" not in cluster.get("job", begun["away"])["status"], "it is tried again"


def test_a_volume_that_is_full_is_told(cluster: Kube, begun: dict[str, str]) -> None:
    pod = first_ended(cluster, begun["full"])
    assert cluster.ending(pod)["exitCode"] not in (0, 2)
    assert "No space left" in cluster.last_word(pod)


def test_too_little_memory_is_told(cluster: Kube, begun: dict[str, str]) -> None:
    pod = first_ended(cluster, begun["memory"])
    assert cluster.ending(pod)["reason"] == "OOMKilled"


def test_a_name_that_is_taken_is_refused(cluster: Kube, begun: dict[str, str]) -> None:
    with pytest.raises(KubectlFailed, match="already exists"):
        cluster("create", "job", begun["secret"], "--image=heldout.local/heldout:test")


def test_the_server_says_which_bucket_is_missing(cluster: Kube, servers: dict[str, str]) -> None:
    word = prepared(cluster, servers["bucket"])
    assert "s3://missing" in word["message"]
    assert "aws s3 mb" in word["message"]
    assert word["exitCode"] == 2


def test_the_server_says_that_its_password_is_wrong(cluster: Kube, servers: dict[str, str]) -> None:
    word = prepared(cluster, servers["password"])
    assert "heldout-postgres" in word["message"]
    assert "authentication failed" in word["message"]
    assert word["exitCode"] == 2


def test_the_server_waits_for_its_database_and_says_so(cluster: Kube, servers: dict[str, str]) -> None:
    word = prepared(cluster, servers["nowhere"])
    assert "PostgreSQL" in word["message"]
    assert "nowhere" in word["message"]
    assert word["exitCode"] == 75


def test_the_namespace_takes_no_pod_with_rights(cluster: Kube) -> None:
    with pytest.raises(KubectlFailed, match="violates PodSecurity"):
        cluster("run", "root", "--image=heldout.local/heldout:test", "--privileged", "--restart=Never")


def test_what_the_gpu_overlay_adds_passes_the_server(cluster: Kube) -> None:
    objects = built("overlays/gpu")
    ray, job = of_kind(objects, "RayCluster"), of_kind(built("overlays/gpu/rayjob"), "RayJob")
    # the operators' own kinds are not there, and the claim of the tests cannot become another
    theirs = ("RayCluster", "ClusterQueue", "LocalQueue", "ResourceFlavor", "Namespace", "PersistentVolumeClaim")
    ours = [one for one in objects if one["kind"] not in theirs]
    # heads and workers of both, and the submitter
    templates = [*pod_templates(ray), *pod_templates(job)]
    for index, template in enumerate(templates):
        metadata = {"name": f"ray-{index}", "labels": template["metadata"]["labels"]}
        # an account that this apply would make
        template["spec"]["serviceAccountName"] = "heldout-ray"
        ours.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    assert len(templates) == 5
    said = cluster("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(ours))
    assert said.count("(server dry run)") == len(ours)


def described(cluster: Kube, job: str, word: str) -> str:
    """What `kubectl describe pod` says of the pod of a Job, once it holds `word`."""

    def look() -> str | None:
        text = cluster("describe", "pod", "-l", f"{JOB_LABEL}={job}")
        return text if word in text else None

    return str(eventually(look, 90, 1))


def first_ended(cluster: Kube, job: str) -> Any:
    """The first pod of a Job, which has ended."""

    def look() -> Any:
        pods = [pod for pod in cluster.pods_of(job) if pod["status"]["phase"] in ("Failed", "Succeeded")]
        return pods[0] if pods else None

    return eventually(look, 150, 1)


def prepared(cluster: Kube, pod: str, seconds: float = 90) -> Any:
    """How the container `prepare` of a pod of MLflow's server ended."""

    def look() -> Any:
        states = cluster.get("pod", pod)["status"].get("initContainerStatuses", [])
        return states[0]["state"].get("terminated") if states else None

    return eventually(look, seconds, 1)
