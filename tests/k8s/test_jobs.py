"""The jobs `pipeline` and `predict`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from mlflow.artifacts import download_artifacts

from tests.k8s.conftest import runs_of
from tests.k8s.kube import Kube

Submit = Callable[..., str]


def test_what_was_trained_in_one_pod_predicts_in_another(cluster: Kube, mlflow_address: str, submit: Submit) -> None:
    trained = submit("train", "trained", "model=mlp", "data=digits", "trainer.max_epochs=2")
    assert cluster.wait_for_job(trained) == "Complete", cluster.said(trained)
    [run] = runs_of(mlflow_address, trained)
    job = submit("predict", "predicted", f"run={run.info.run_id}")
    assert cluster.wait_for_job(job) == "Complete", cluster.said(job)
    [predicted] = runs_of(mlflow_address, job, "prediction")
    with tempfile.TemporaryDirectory() as folder:
        path = download_artifacts(
            run_id=predicted.info.run_id,
            artifact_path="predictions.parquet",
            dst_path=folder,
            tracking_uri=mlflow_address,
        )
        table = pq.read_table(Path(path))
    assert {"id", "prediction", "probability.0"} <= set(table.column_names)
    assert table.num_rows > 100


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
