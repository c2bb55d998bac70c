"""Sweeps through the real command line, on a Ray that all tests of a session share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from heldout import app
from hydra_plugins.ray_tune_sweeper import running_ray
from hydra_plugins.ray_tune_sweeper._config import Cluster, Resources

CPUS = 2
QUICK = ("tracking.system_metrics_seconds=null", "sweep.refit.top=0")

Sweep = Callable[..., int]


@pytest.fixture(scope="session")
def shared_ray() -> Iterator[None]:
    """Ray as a sweep would start it, once; that of other tests in this process, where there is one."""
    with running_ray(Cluster(cpus=CPUS), Resources()):
        yield


@pytest.fixture
def sweep(workplace: Path, shared_ray: None) -> Sweep:
    """`python pipelines/train.py -m hydra/sweeper=ray_tune ...`; returns its exit code."""

    def run(*arguments: str) -> int:
        return app.main("train", ["-m", "hydra/sweeper=ray_tune", *QUICK, *arguments])

    return run


def trials(name: str) -> pd.DataFrame:
    return pd.read_parquet(Path("sweeps") / name / "trials.parquet")


def journal(name: str) -> list[dict[str, Any]]:
    lines = (Path("sweeps") / name / ".sweep" / "journal.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def runs_in_mlflow() -> list[Run]:
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    found: list[Run] = client.search_runs([e.experiment_id for e in client.search_experiments()], max_results=1000)
    return found


def children_of(parent: Run) -> list[Run]:
    below = [run for run in runs_in_mlflow() if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    return sorted(below, key=lambda run: int(run.data.tags["heldout.trial"]))


def parent_of_sweep() -> Run:
    (parent,) = [run for run in runs_in_mlflow() if run.data.tags.get("heldout.kind") == "sweep"]
    return parent
