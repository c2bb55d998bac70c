"""Ways in which a pod ends before its time, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from tests.k8s.kube import JOB_LABEL, Kube, eventually

FIT = (
    "model=mlp",
    "data=digits",
    "trainer.patience=null",
    "trainer.max_epochs=100",
    "trainer.batch_size=8",
    "tracking.system_metrics_seconds=null",
)
# goes on where it was, under its name
KILLED = (*FIT, "name=killed")


def kill_five_times(cluster: Kube, submit: Callable[..., str]) -> tuple[str, str]:
    """The names of a Job that was left alone and of one, with the same training, whose pods ended five times."""
    alone = submit("train", "whole", *FIT, cpu="300m")
    job = submit("train", "killed", *KILLED, cpu="300m")
    for kill in (lost, drained, None, out_of_memory, deleted):
        pod = str(eventually(lambda job=job: _running(cluster, job), 120))
        eventually(lambda pod=pod: "epoch" in cluster.log(pod), 120, 0.2)
        if kill is not None:
            # the Job waits 10 seconds before its second pod, and twice as long before each that follows
            kill(cluster, pod)
        else:
            cluster("delete", "job", job)
            job = submit("train", "killed", *KILLED, cpu="300m")
    return alone, job


def lost(cluster: Kube, pod: str) -> None:
    """At once, as when a node is lost."""
    cluster("delete", "pod", pod, "--grace-period=0", "--force")


def deleted(cluster: Kube, pod: str) -> None:
    """With the time to write a checkpoint."""
    cluster("delete", "pod", pod)


def drained(cluster: Kube, pod: str) -> None:
    """Evicted, as all pods are when a node is emptied; here the others may stay."""
    node = cluster.get("pod", pod)["spec"]["nodeName"]
    job = cluster.get("pod", pod)["metadata"]["labels"][JOB_LABEL]
    cluster("drain", node, "--pod-selector", f"{JOB_LABEL}={job}", "--delete-emptydir-data", "--timeout=90s")
    cluster("uncordon", node)


def out_of_memory(cluster: Kube, pod: str) -> None:
    """As the kernel does it: the process in the container, by SIGKILL."""
    first = "next(p for p in os.listdir('/proc') if p.isdigit() and open(f'/proc/{p}/stat').read().split()[3] == '1')"
    cluster("exec", pod, "--", "python", "-c", f"import os; os.kill(int({first}), 9)")


def _running(cluster: Kube, job: str) -> str | None:
    running = [
        pod["metadata"]["name"]
        for pod in cluster.pods_of(job)
        if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
    ]
    return running[0] if running else None
