"""Jobs that want a GPU, on a node that says it has one: where they go, and when. The arithmetic is the CPU's."""

from __future__ import annotations

from collections.abc import Callable

from tests.k8s.kube import Kube, eventually

FIT = ("model=mlp", "data=digits", "trainer.max_epochs=5", "trainer.accelerator=cpu")


def test_one_gpu_is_given_to_one_job_after_the_other(
    cluster: Kube, gpus: Callable[[int], None], submit: Callable[..., str]
) -> None:
    gpus(1)

    def small(job: dict, pod: dict) -> None:
        pod["containers"][0]["resources"]["requests"]["memory"] = "1Gi"

    first, second = (submit("train-gpu", name, *FIT, cpu="300m", edit=small) for name in ("first", "second"))
    eventually(lambda: "Insufficient nvidia.com/gpu" in cluster.scheduling(second), 60)
    assert cluster.wait_for_job(first) == "Complete", cluster.said(first)
    assert cluster.wait_for_job(second) == "Complete", cluster.said(second)
    [a], [b] = (cluster.pods_of(job) for job in (first, second))
    assert b["status"]["startTime"] >= cluster.ending(a)["finishedAt"]
