"""Verdicts on models that draw, whose truth was planted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heldout.analysis import Comparison, Label, compare
from heldout.analysis.tables import family_rows
from heldout.config.analysis import AnalysisConfig
from heldout.data.store import Split
from heldout.models.seeded import Draw
from heldout.pictures import DRAWN, png
from heldout.predictions import Predictions
from heldout.record import Record, write_history, write_predictions, write_record
from heldout.scoring import GENERATION, scoring_of
from heldout.tasks.drawn import RealImages

CFG = AnalysisConfig(bootstrap_samples=300)
SIDE = 4
# means of the columns of a model that has learned what there is
SOUND = {
    "distance": 0.01,
    "reference": 1.0,
    "precision": 0.9,
    "recall": 0.9,
    "recall_of_real": 0.9,
    "closer": 0.4,
    "copied": 0.0,
}


def plant(root: Path, family: str, means: dict[str, Any], kind: str = "baseline", noise: float = 0.3) -> Path:
    """A record whose columns have just these means on each split; a pair gives train's and that of the others."""
    predictions = {}
    for number, split in enumerate(("train", "validation", "test")):
        rng = np.random.default_rng([number, len(family)])
        spread = rng.normal(0, noise, 300)
        of = {name: value[min(1, number)] if isinstance(value, tuple) else value for name, value in means.items()}
        columns = {name: value + (spread - spread.mean()) * (name != "reference") for name, value in of.items()}
        predictions[split] = Predictions(np.array([f"{split}-{row}" for row in range(300)]), columns=columns)
    return write(root, family, predictions, kind)


def write(root: Path, family: str, predictions: dict[str, Predictions], kind: str = "baseline", seed: int = 0) -> Path:
    folder = root / family / f"seed={seed}"
    scoring = scoring_of(GENERATION)
    rows = [
        {"epoch": 1, "step": 1, "split": split, "learning_rate": None, "seconds": 1.0, **scoring.of(predictions[split])}
        for split in ("train", "validation")
    ]
    write_history(folder / "history.parquet", rows, GENERATION)
    write_predictions(folder / "predictions.parquet", predictions, GENERATION)
    info = {"name": family, "data": "images", "family": family, "kind": kind, "seed": seed, "status": "finished"}
    write_record(folder, {**info, "task": GENERATION, "kept_epoch": 1})
    return folder


def compared(*folders: Path) -> Comparison:
    return compare([Record.load(folder) for folder in folders], CFG)


@pytest.mark.parametrize(
    ("means", "label", "told"),
    [
        ({}, Label.good, "0 % of the drawn images are copied from train (95 % interval"),
        ({"copied": 0.9, "closer": 0.95}, Label.memorising, "90 % of the drawn images are copied from train"),
        ({"copied": 0.4, "closer": 0.3}, Label.overfit, "40 % of the drawn images are copied from train"),
        ({"distance": 0.9}, Label.underfit, "Even on train, likeness is 0.100"),
        ({"recall": 0.2}, Label.underfit, "Drawn images cover 20 % of validation"),
    ],
)
def test_planted_patterns(tmp_path: Path, means: dict[str, Any], label: Label, told: str) -> None:
    (family,) = compared(plant(tmp_path, "model", SOUND | means)).families
    assert family.verdict.label is label
    # after the number of seeds
    assert family.verdict.evidence[1].startswith(told)
    assert all(sentence.endswith(".") for sentence in family.verdict.evidence)


def test_an_interval_that_is_too_wide_decides_nothing(tmp_path: Path) -> None:
    (family,) = compared(plant(tmp_path, "model", SOUND | {"copied": 0.1}, noise=3.0)).families
    assert family.verdict.label is Label.not_enough_evidence


def test_lying_closer_without_copies_is_no_memorising(tmp_path: Path) -> None:
    """Images that are plainer than real ones lie close to train, and to everything else."""
    (family,) = compared(plant(tmp_path, "model", SOUND | {"closer": 0.9})).families
    assert family.verdict.label is Label.good


def test_who_copies_ranks_last_and_is_no_reference(tmp_path: Path) -> None:
    copier = plant(tmp_path, "copier", SOUND | {"copied": 1.0, "closer": 1.0, "distance": 0.0}, noise=0.05)
    modest = plant(tmp_path, "modest", SOUND | {"distance": 0.4}, noise=0.05)
    families = compared(copier, modest).families
    assert [(family.label, family.verdict.label) for family in families] == [
        ("modest", Label.good),
        ("copier", Label.memorising),
    ]
    better = plant(tmp_path, "better", SOUND, noise=0.05)
    verdicts = {family.label: family.verdict for family in compared(copier, modest, better).families}
    assert verdicts["modest"].label is Label.underfit
    assert "that better reaches on validation: there was more to learn." in " ".join(verdicts["modest"].evidence)
    assert verdicts["better"].label is Label.good


@pytest.mark.parametrize(("critic", "told"), [((0.9, 0.6), "learned some of train by heart"), (0.6, "no better")])
def test_what_the_critic_knows_is_a_remark(tmp_path: Path, critic: Any, told: str) -> None:
    (family,) = compared(plant(tmp_path, "model", SOUND | {"critic": critic}, kind="deep")).families
    assert family.verdict.label is Label.good
    (remark,) = [sentence for sentence in family.verdict.evidence if sentence.startswith("The critic")]
    assert told in remark


def test_tables_hold_the_ends_of_the_intervals(tmp_path: Path) -> None:
    (row,) = family_rows(compared(plant(tmp_path, "model", SOUND)).families)
    assert row["test_copied_low"] < row["test_copied"] < row["test_copied_high"]
    assert row["validation_likeness"] == pytest.approx(0.99)


def test_a_comparison_keeps_pictures(tmp_path: Path) -> None:
    folder = plant(tmp_path, "model", SOUND)
    (folder / DRAWN).write_bytes(png(np.zeros((2, 2, 1), np.uint8)))
    comparison = compared(folder)
    again = Comparison.from_json(comparison.to_json())
    assert again == comparison
    assert again.runs[0].pictures[DRAWN].startswith("iVBORw0KGgo")


def images(rng: np.random.Generator, n: int, name: str, factor: np.ndarray) -> Split:
    """Grey images, normally distributed."""
    x = 128 + 25 * rng.normal(size=(n, SIDE * SIDE)) @ factor
    ids = np.array([f"{name}-{row}" for row in range(n)])
    return Split(ids, {"x": x.round().clip(0, 255).astype(np.uint8).reshape(n, 1, SIDE, SIDE)}, np.zeros(n))


def drawn_by(kind: str, train: Split, rng: np.random.Generator) -> Draw:
    x = train.inputs["x"].reshape(len(train), -1).astype(float)
    if kind == "copier":
        return lambda seeds: train.inputs["x"][rng.integers(len(train), size=len(seeds))]
    mean, covariance = x.mean(axis=0), np.cov(x.T)

    def draw(seeds: np.ndarray) -> np.ndarray:
        found = rng.multivariate_normal(mean, covariance, size=len(seeds))
        return found.round().clip(0, 255).astype(np.uint8).reshape(len(seeds), 1, SIDE, SIDE)

    return draw


@pytest.mark.parametrize(("kind", "repeats", "label"), [("normal", 30, Label.good), ("copier", 5, Label.memorising)])
def test_planted_truth_in_images(tmp_path: Path, kind: str, repeats: int, label: Label) -> None:
    """A normal distribution fitted to normal images does not copy, with errors as the level says; drawing from train
    does (seed 5)."""
    rng = np.random.default_rng(5)
    factor = np.linalg.qr(rng.normal(size=(SIDE * SIDE, SIDE * SIDE)))[0] * np.linspace(2, 0.3, SIDE * SIDE)[:, None]
    found: Counter[Label] = Counter()
    for repeat in range(repeats):
        train, validation = images(rng, 600, "train", factor), images(rng, 300, "validation", factor)
        real, draw = RealImages(train, validation), drawn_by(kind, train, rng)
        part = Split(train.ids[:300], {"x": train.inputs["x"][:300]}, train.target[:300])
        predictions = {
            name: Predictions(split.ids, columns=real.measured(split, draw))
            for name, split in (("train", part), ("validation", validation))
        }
        (run,) = compared(write(tmp_path, f"{kind}-{repeat}", predictions)).runs
        found[run.verdict.label] += 1
    # of 30, each with a chance of 1 in 40 to look like copies, 4 or more do once in 200 times
    assert found[label] >= repeats - 3, found
