"""What a sweep of many short trials costs: time beyond the task's own, and memory of the process that drives it.

python benchmarks/sweep_many_trials.py [--trials 1000] [--workers 2]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore

from hydra_plugins.ray_tune_sweeper import Status, Sweep, SweepCallback, Trial

TASK_SECONDS = 0.01


@dataclass
class Config:
    x: float = 0.5


def task(cfg: Any) -> float:
    time.sleep(TASK_SECONDS)
    return float(cfg.x)


class Watch(SweepCallback):
    """Notes time and memory of this process at every hundredth trial."""

    rows: list[tuple[int, float, float]] = []  # noqa: RUF012

    def on_trial_end(self, sweep: Sweep, trial: Trial) -> None:
        ended = sweep.journal.count(Status.finished)
        if ended == 10 or ended % 100 == 0:
            self.rows.append((ended, time.monotonic(), psutil.Process().memory_info().rss / 2**20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    version.setbase("1.3")
    ConfigStore.instance().store("many", Config)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        hydra = Hydra.create_main_hydra2(task_name="many", config_search_path=create_config_search_path(None))
        sweep = hydra.multirun(
            config_name="many",
            task_function=task,
            overrides=[
                "hydra/sweeper=ray_tune",
                "x=interval(0, 1)",
                f"hydra.sweeper.trials={given.trials}",
                f"hydra.sweeper.cluster.cpus={given.workers}",
                f"+hydra.sweeper.callbacks.watch._target_={__name__}.Watch",
            ],
        )
        os.chdir(Path(folder).parent)
    assert all(trial.status is Status.finished for trial in sweep.trials)
    print(f"{'trials':>7} {'seconds':>8} {'s / trial':>10} {'beyond the task':>16} {'driver MB':>10}")
    (first, began, _), *rows = Watch.rows
    for ended, now, memory in rows:
        # a worker's seconds for one trial; the first ones started the workers
        each = (now - began) / (ended - first) * given.workers
        print(f"{ended:7d} {now - began:8.1f} {each:10.3f} {each - TASK_SECONDS:16.3f} {memory:10.0f}")
    print(f"driver memory grew by {rows[-1][2] - Watch.rows[0][2]:.0f} MB from trial {first} to trial {rows[-1][0]}")


if __name__ == "__main__":
    main()
