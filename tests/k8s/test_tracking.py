"""MLflow on the cluster: logins, names, and a backup that brings everything back."""

from __future__ import annotations

import os

import requests
from mlflow import MlflowClient

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
