"""MLflow on the cluster: logins, names, and a backup that brings everything back."""

from __future__ import annotations

import os
import time
from pathlib import Path

import mlflow
import requests
from mlflow import MlflowClient

from tests.conftest import ROOT
from tests.k8s.cluster.images import HELDOUT, POSTGRES
from tests.k8s.kube import Kube


def test_it_asks_for_a_login_and_knows_its_names(cluster: Kube, mlflow_address: str) -> None:
    search = f"{mlflow_address}/api/2.0/mlflow/experiments/search?max_results=5"
    login = (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"])
    assert requests.get(f"{mlflow_address}/health", timeout=20).status_code == 200
    assert requests.get(search, timeout=20).status_code == 401
    assert requests.get(search, auth=(login[0], "wrong"), timeout=20).status_code == 401
    assert requests.get(search, auth=login, timeout=20).status_code == 200
    # a page elsewhere cannot have a browser ask it under another name
    foreign = requests.get(search, auth=login, headers={"Host": "elsewhere.example"}, timeout=20)
    assert foreign.status_code == 403
    users = f"{mlflow_address}/api/2.0/mlflow/users/create"
    refused = requests.post(users, json={"username": "other", "password": "of twelve letters"}, auth=login, timeout=20)
    assert refused.status_code == 403, "jobs may not make users"


def test_artifacts_go_through_it_to_the_bucket(cluster: Kube, mlflow_address: str) -> None:
    client = MlflowClient(mlflow_address)
    experiment = client.get_experiment_by_name("artifacts")
    run = client.create_run(experiment.experiment_id if experiment else client.create_experiment("artifacts"))
    client.log_text(run.info.run_id, "kept", "note.txt")
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    [artifact] = client.list_artifacts(run.info.run_id)
    assert artifact.path == "note.txt"
    listed = cluster("exec", "deployment/mlflow", "--", "python", "-c", LIST_BUCKET)
    assert f"{run.info.run_id}/artifacts/note.txt" in listed


LIST_BUCKET = """
import boto3
for page in boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket="mlflow"):
    for one in page.get("Contents", ()):
        print(one["Key"])
"""


def test_a_backup_brings_back_runs_metrics_and_artifacts(cluster: Kube, mlflow_address: str, tmp_path: Path) -> None:
    client = MlflowClient(mlflow_address)
    run_id = client.create_run(client.create_experiment(f"precious {time.time()}")).info.run_id
    for step in range(3):
        client.log_metric(run_id, "loss", 1 / (step + 1), step=step)
    client.log_text(run_id, "kept", "note.txt")
    client.set_terminated(run_id)
    cluster("create", "job", "--from=cronjob/backup", "backup-now")
    assert cluster.wait_for_job("backup-now") == "Complete", cluster.said("backup-now")
    cluster("delete", "job", "backup-now", "restore", "--ignore-not-found")

    cluster("exec", "deployment/mlflow", "--", "python", "-c", EMPTY_BUCKET)
    cluster("scale", "deployment/mlflow", "--replicas=0")
    cluster("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=mlflow", "--timeout=60s")
    wipe = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
    ask = f'PGPASSWORD=$POSTGRES_PASSWORD psql -h 127.0.0.1 -U $POSTGRES_USER $POSTGRES_DB -c "{wipe}"'
    cluster("exec", "statefulset/postgres", "--", "sh", "-c", ask)
    restore = cluster("kustomize", str(ROOT / "k8s/jobs/restore"))
    for name, ours in (("heldout.local/heldout:0.1.0", HELDOUT), ("postgres:17", POSTGRES)):
        restore = restore.replace(f"image: {name}", f"image: {ours}")
    cluster("create", "-f", "-", stdin=restore)
    assert cluster.wait_for_job("restore") == "Complete", cluster.said("restore")

    cluster("scale", "deployment/mlflow", "--replicas=1")
    cluster("rollout", "status", "deployment/mlflow", "--timeout=180s")
    with cluster.forwarded("service/mlflow", 5000) as address:
        restored = MlflowClient(address)
        assert restored.get_run(run_id).info.status == "FINISHED"
        history = restored.get_metric_history(run_id, "loss")
        assert [(metric.step, metric.value) for metric in history] == [(0, 1.0), (1, 1 / 2), (2, 1 / 3)]
        downloaded = mlflow.artifacts.download_artifacts(
            run_id=run_id, artifact_path="note.txt", dst_path=str(tmp_path), tracking_uri=address
        )
        assert Path(downloaded).read_text() == "kept"


EMPTY_BUCKET = """
import boto3
for one in boto3.resource("s3").Bucket("mlflow").objects.all():
    one.delete()
"""
