"""Sweeps through the real command line, on a Ray that all tests of a session share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import ray
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from heldout import app

CPUS = 2
QUICK = ("tracking.system_metrics_seconds=null", "sweep.refit.top=0")

Sweep = Callable[..., int]


@pytest.fixture(scope="session")
def shared_ray() -> Iterator[None]:
    """Ray as a sweep would start it, once."""
    from hydra_plugins.ray_tune_sweeper._cluster import SETTINGS

    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        ray.init(address="local", num_cpus=CPUS, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


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
