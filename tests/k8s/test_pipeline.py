"""The job `pipeline`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.k8s.kube import Kube

Submit = Callable[..., str]


@pytest.mark.timeout(400)
def test_the_pipeline_goes_on_from_its_remote_on_a_new_volume(cluster: Kube, submit: Submit) -> None:
    # the remote is empty: all is computed, and pushed
    first = submit("pipeline", "computed", "prepare", "validate")
    assert cluster.wait_for_job(first) == "Complete", cluster.said(first)
    assert "Running stage 'prepare" in cluster.said(first)
    second = submit("pipeline", "pulled", "prepare", "validate", edit=volume_is_new)
    assert cluster.wait_for_job(second) == "Complete", cluster.said(second)
    assert "Running stage 'prepare" not in cluster.said(second)


def volume_is_new(job: dict, pod: dict) -> None:
    pod["volumes"][0] = {"name": "heldout", "emptyDir": {"sizeLimit": "2Gi"}}
