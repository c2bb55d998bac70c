"""Many short trainings as one sweep: what a trial costs beyond its fit, and whether MLflow holds them all.

    python benchmarks/sweep_many_runs.py --trials 1000
    python benchmarks/sweep_many_runs.py --trials 64 --at-once 16

Each trial fits a logistic regression in some ten milliseconds, with record, lineage and MLflow run as every training
has them, on SQLite. `--at-once` has so many workers share this machine. Prints a row a hundred trials and fails unless
each trial has its record and its one child run, finished.
"""

from __future__ import annotations

import argparse
import collections
import os
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from mlflow import MlflowClient
from timed import train

from heldout.record import Record, find_records

NAME = "many"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = sweep(folder, given.trials, given.at_once)
        report(folder, given.trials, given.at_once, seconds)


def sweep(folder: Path, trials: int, at_once: int) -> float:
    return train(
        folder,
        [
            *("-m", "hydra/sweeper=ray_tune"),
            *("data=breast_cancer", "model=logistic", "model.C=tag(log, interval(1e-3, 1e3))"),
            *("sweep.scheduler.name=fifo", f"sweep.trials={trials}", f"sweep.name={NAME}", "sweep.refit.top=0"),
            f"sweep.resources.cpus={(os.cpu_count() or 1) / at_once}",
        ],
    )


def report(folder: Path, wanted: int, at_once: int, seconds: float) -> None:
    trials = pq.read_table(folder / "sweeps" / NAME / "trials.parquet").to_pandas().sort_values("ended")
    records = [Record.load(path) for path in find_records(folder / "sweeps" / NAME)]
    fit = sum(record.info["fit_seconds"] for record in records) / len(records)
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    runs = children(client)
    print(f"{wanted} trials, {at_once} at once: {seconds:.0f} s; a fit takes {1000 * fit:.0f} ms")
    # the first of each worker pays for its start
    ended = trials["ended"].to_numpy()
    for last in range(99, len(ended), 100):
        first = max(last - 100, at_once - 1)
        each = (ended[last] - ended[first]) / (last - first) * at_once
        print(f"trials up to {last + 1:5d}: {each:.3f} s each in a worker, {each - fit:.3f} s beyond the fit")
    statuses = collections.Counter(run.info.status for run in runs)
    print(f"records: {len(records)}; child runs in MLflow: {len(runs)}, {dict(statuses)}")
    assert len(records) == len(runs) == wanted
    assert statuses == {"FINISHED": wanted}
    assert len({run.data.tags["heldout.trial"] for run in runs}) == wanted


def children(client: MlflowClient) -> list:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (parent,) = client.search_runs(experiments, "tags.`heldout.kind` = 'sweep'")
    runs, token = [], None
    while token != "":
        page = client.search_runs(
            experiments, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'", max_results=500, page_token=token
        )
        runs += page
        token = page.token or ""
    return runs


if __name__ == "__main__":
    main()
