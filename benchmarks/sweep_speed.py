"""Wall time of a sweep: Hydra's basic sweeper, and Ray Tune with FIFO and with ASHA, on the same configurations.

    python benchmarks/sweep_speed.py --configurations 64

Random configurations of the CNN of MNIST-1D are drawn once and written as options of a config group, so that every
sweeper runs the very same ones, in the same order, with the same seeds. 187 epochs are the 6,000 steps of the recipe
of MNIST-1D's paper. Counted is the whole command, from its start to
its end. Refits after the sweep are left out on all sides: the basic sweeper has none.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from timed import ROOT, train

from heldout.record import Record, find_records

COMMON = ["data=mnist1d", "model=cnn", "tracking.system_metrics_seconds=null"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configurations", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=187)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), options)


def run(folder: Path, options: argparse.Namespace) -> None:
    shutil.copytree(ROOT / "conf", folder / "conf")
    names = write_options(folder / "conf" / "experiment", options)
    common = [*COMMON, f"trainer.max_epochs={options.epochs}", f"experiment={','.join(names)}"]
    command(folder, ["data=mnist1d", "model=majority"])  # the data are prepared, and MLflow's database made
    basic = command(folder, ["-m", *common, "hydra.sweep.dir=basic"])
    target = min(kept_losses(folder / "basic").values())
    print(f"basic sweeper: {basic:.1f} s, best validation loss {target:.4f}")
    for scheduler in ("fifo", "asha"):
        sweep = ["hydra/sweeper=ray_tune", "sweep.searcher.name=grid", f"sweep.scheduler.name={scheduler}"]
        seconds = command(folder, ["-m", *common, *sweep, f"sweep.name={scheduler}", "sweep.refit.top=0"])
        report(folder / "sweeps" / scheduler, scheduler, seconds, basic, target)


def write_options(folder: Path, options: argparse.Namespace) -> list[str]:
    rng = random.Random(options.seed)
    names = []
    for number in range(options.configurations):
        rate = math.exp(rng.uniform(math.log(1e-4), math.log(1e-1)))
        decay = math.exp(rng.uniform(math.log(1e-5), math.log(1e-1)))
        lines = [
            "# @package _global_",
            "model:",
            f"  learning_rate: {rate!r}",
            f"  width: {rng.choice([8, 16, 32, 64])}",
            f"  depth: {rng.choice([2, 3, 4])}",
            f"  dropout: {rng.uniform(0.0, 0.5)!r}",
            "optimizer:",
            f"  weight_decay: {decay!r}",
        ]
        names.append(f"drawn{number:03d}")
        (folder / f"{names[-1]}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return names


def command(folder: Path, arguments: list[str]) -> float:
    return train(folder, arguments, {"HELDOUT_CONF": str(folder / "conf")})


def kept_losses(folder: Path) -> dict[str, float]:
    losses = {}
    for path in find_records(folder):
        record = Record.load(path)
        if record.info["status"] == "finished":
            history = record.history
            row = history[(history["epoch"] == record.info["kept_epoch"]) & (history["split"] == "validation")]
            losses[path.as_posix()] = float(row["loss"].iloc[0])
    return losses


def report(sweep: Path, scheduler: str, seconds: float, basic: float, target: float) -> None:
    trials = pq.read_table(sweep / "trials.parquet").to_pandas()
    finished = trials[trials["status"] == "finished"]
    best = float(finished["objective"].min())
    busy = 2 * (trials["ended"].max() - trials["started"].min())
    print(
        f"{scheduler}: {seconds:.1f} s, {basic / seconds:.2f} x less than the basic sweeper; best validation loss "
        f"{best:.4f} (basic {target:.4f}); {len(finished)} of {len(trials)} trials to their end; trials within "
        f"{busy / 2:.1f} s"
    )


if __name__ == "__main__":
    main()
