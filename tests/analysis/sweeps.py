"""Synthetic sweeps with known truth, in the files that a real one leaves.

    python -m tests.analysis.sweeps FOLDER

writes a realistic one, to look at its report. Every configuration has a true ability that follows from its settings; a
fit adds the luck of its seed; examples differ in how hard they are, for all and for single configurations. Scores are
the share of right answers on the same examples that the predictions in the records show.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from heldout.record import HISTORY_FILE, PREDICTIONS_FILE, write_history, write_predictions, write_record

CLASSES = 10


@dataclass(frozen=True)
class World:
    """How scores come about, on a scale where 1 is the spread of the difficulty of examples.

    seed_luck: of a fit as a whole; example_luck: of a configuration on an example; answer_luck: of a fit on an example.
    """

    examples: int = 600
    seed_luck: float = 0.10
    example_luck: float = 0.35
    answer_luck: float = 0.5
    seed: int = 0

    def right(self, trial: int, seed: int, ability: float, split: str) -> np.ndarray:
        """Which examples of a split the fit of a trial's settings with a seed gets right: bool [examples]."""
        part = {"train": 1, "validation": 2, "test": 3}[split]
        shared = np.random.default_rng([self.seed, 1, part]).normal(size=self.examples)
        own = np.random.default_rng([self.seed, 2, part, trial]).normal(0, self.example_luck, self.examples)
        luck = np.random.default_rng([self.seed, 3, trial, seed]).normal(0, self.seed_luck)
        answers = np.random.default_rng([self.seed, 4, part, trial, seed]).normal(0, self.answer_luck, self.examples)
        return np.asarray(shared + own + answers < ability + luck)

    def plant(self, root: Path, folder: str, trial: int, seed: int, ability: float, splits: Sequence[str]) -> float:
        """Write the record of a fit; returns its accuracy on validation."""
        rows, predictions = [], {}
        for split in splits:
            right = self.right(trial, seed, ability + (1.5 if split == "train" else 0), split)
            target = np.random.default_rng([self.seed, 5, len(split)]).integers(CLASSES, size=self.examples)
            probabilities = np.full((self.examples, CLASSES), 0.3 / (CLASSES - 1), dtype=np.float32)
            probabilities[np.arange(self.examples), np.where(right, target, (target + 1) % CLASSES)] = 0.7
            predictions[split] = ([f"{split}-{i}" for i in range(self.examples)], target, probabilities)
            if split != "test":
                rows.append({"epoch": 1, "step": 1, "split": split, "loss": 0.5, "accuracy": float(right.mean())})
        write_history(root / folder / HISTORY_FILE, rows)
        write_predictions(root / folder / PREDICTIONS_FILE, predictions)
        info = {"name": f"trial {trial}", "data": "toy", "family": "cnn", "kind": "deep", "seed": seed}
        info |= {"status": "finished", "classes": [str(i) for i in range(CLASSES)], "kept_epoch": 1}
        write_record(root / folder, info)
        return float(self.right(trial, seed, ability, "validation").mean())


@dataclass
class Plan:
    """A sweep to be written; a row of `trials` lacks what has a default."""

    trials: list[dict[str, Any]]
    reports: list[tuple[int, int, float, float]] = field(default_factory=list)
    refits: list[dict[str, Any]] = field(default_factory=list)
    winner: dict[str, Any] | None = None
    metric: str = "accuracy"
    mode: str = "max"
    more: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """The three files in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        text = {"status": "finished", "error": None, "run_id": None, "record": None}
        default = {"epochs": 10, "started": 0.0, "ended": 1.0, "objective": None, **text}
        rows = [{"trial": i} | default | row for i, row in enumerate(self.trials)]
        types = {"trial": pa.int64(), "status": pa.string(), "objective": pa.float64(), "epochs": pa.int64()}
        types |= {"started": pa.float64(), "ended": pa.float64()} | dict.fromkeys(
            ("error", "run_id", "record"), pa.string()
        )
        keys = list(dict.fromkeys(key for row in rows for key in row if key not in types))
        columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()}
        pq.write_table(
            pa.table(columns | {k: pa.array([r.get(k) for r in rows]) for k in keys}), folder / "trials.parquet"
        )
        kinds = {"trial": pa.int64(), "step": pa.int64(), "seconds": pa.float64(), "objective": pa.float64()}
        reports = {
            name: pa.array([row[i] for row in self.reports], kind) for i, (name, kind) in enumerate(kinds.items())
        }
        pq.write_table(pa.table(reports), folder / "reports.parquet")
        info = {"format": 1, "name": "toy", "objective": {"metric": self.metric, "mode": self.mode}}
        info |= {"searcher": "tpe", "scheduler": "asha", "trials_wanted": len(rows)}
        info |= {"refits": self.refits, "winner": self.winner} | dict(self.more)
        (folder / "sweep.json").write_text(json.dumps(info))
        return folder


def refits(scores: Mapping[int, Sequence[float | None]], first_seed: int = 1001) -> list[dict[str, Any]]:
    """Entries of sweep.json from the objectives by trial."""
    return [
        {"trial": trial, "seed": first_seed + i, "objective": score, "record": None}
        for trial, of in scores.items()
        for i, score in enumerate(of)
    ]


def realistic(folder: Path, trials: int = 64, top: int = 3, seeds: int = 5, seed: int = 0) -> Path:
    """A sweep of two families with ASHA: failures, pruned trials, settings of one family, refits and a test."""
    rng, world = np.random.default_rng(seed), World(seed=seed)
    rows, reports = [_draw(rng) for _ in range(trials)], []
    abilities = [_ability(row) for row in rows]
    free = np.zeros(4)
    for number, (row, ability) in enumerate(zip(rows, abilities, strict=True)):
        worker = int(free.argmin())
        pace = (2.5 if row["param.model"] == "cnn" else 1.2) * rng.uniform(0.8, 1.2)
        reached = rng.choice([3, 9, 27], p=[0.5, 0.25, 0.25] if ability < 1.2 else [0.15, 0.25, 0.6])
        row["status"] = "finished" if reached == 27 else "pruned"
        if rng.random() < 0.05:
            row |= {"status": "failed", "error": "the loss is NaN at step 61; lower the learning rate", "epochs": 2}
            reached = 2
        final = float(world.right(number, 0, ability, "validation").mean())
        curve = [final - 0.5 * np.exp(-(epoch + 1) / 5) + rng.normal(0, 0.004) for epoch in range(reached)]
        if row["status"] == "finished":
            row["record"] = f"{number}"
            curve[-1] = world.plant(folder, row["record"], number, 0, ability, ("train", "validation"))
        row |= {"epochs": int(reached), "started": float(free[worker])}
        reports += [(number, e + 1, float(free[worker] + pace * (e + 1)), float(v)) for e, v in enumerate(curve)]
        free[worker] += pace * reached + 0.3
        row["ended"] = float(free[worker])
        row["objective"] = None if row["status"] == "failed" else float(curve[-1])
    finished = [i for i, row in enumerate(rows) if row["status"] == "finished"]
    best = sorted(finished, key=lambda i: -rows[i]["objective"])[:top]
    again = []
    for trial in best:
        for one in range(1001, 1001 + seeds):
            record = f"refits/trial-{trial}/seed={one}"
            score = world.plant(folder, record, trial, one, abilities[trial], ("train", "validation", "test"))
            again.append({"trial": trial, "seed": one, "objective": score, "record": record})
    return Plan(rows, reports, again).write(folder)


def _draw(rng: np.random.Generator) -> dict[str, Any]:
    family = str(rng.choice(["cnn", "mlp"]))
    return {
        "param.model": family,
        "param.model.width": int(rng.choice([16, 32, 64])) if family == "cnn" else None,
        "param.optimizer.learning_rate": float(10 ** rng.uniform(-4, -1)),
        "param.model.dropout": float(rng.uniform(0, 0.6)),
        "param.trainer.batch_size": int(2 ** rng.integers(5, 9)),
    }


def _ability(row: Mapping[str, Any]) -> float:
    rate = np.log10(row["param.optimizer.learning_rate"])
    width = {16: 0.0, 32: 0.15, 64: 0.2}.get(row["param.model.width"], 0.0)
    family = 1.9 if row["param.model"] == "cnn" else 1.0
    return float(family + width - 0.45 * (rate + 2.2) ** 2 - 1.2 * (row["param.model.dropout"] - 0.2) ** 2)


if __name__ == "__main__":
    sys.stdout.write(f"{realistic(Path(sys.argv[1]))}\n")
