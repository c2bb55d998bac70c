"""Records with a known truth, written by the record functions that training uses.

`plant` writes one run; `study` writes what a small pipeline leaves: two data sets, twelve families, three seeds and a
run that failed. The numbers of `study` follow published figures for MNIST-1D and digits so that a report looks real.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from heldout.record import CONFIG_FILE, HISTORY_FILE, PREDICTIONS_FILE, write_history, write_predictions, write_record


@dataclass(frozen=True)
class Plan:
    """The truth of a run: accuracies it tends to, how fast, and where validation loss turns.

    train, validation, test: accuracies at the end of training. speed: epochs to cover 63 % of the way there.
    onset: epoch from which validation loss rises by `slope` an epoch; None lets it fall to the end.
    """

    family: str = "mlp"
    kind: str = "deep"
    train: float = 0.98
    validation: float = 0.90
    test: float | None = None
    epochs: int = 30
    speed: float = 4.0
    onset: int | None = None
    slope: float = 0.02
    noise: float = 0.01
    parameters: int | None = 5210
    fit_seconds: float = 3.0
    # spread of the accuracies from seed to seed
    spread: float = 0.005


def plant(
    root: Path,
    plan: Plan,
    *,
    data: str = "toy",
    seed: int = 0,
    classes: int = 10,
    examples: int = 400,
    name: str | None = None,
    weights: np.ndarray | None = None,
    **info: Any,
) -> Path:
    """Write the record of one run below `root` and return its directory.

    The examples of a data set, their targets and difficulty are the same for all families and seeds; `weights` are
    the shares of the classes. Accuracies hold exactly, up to one example. `info` overrides fields of record.json.
    """
    name = name or f"{data}-{plan.family}"
    rng = np.random.default_rng([seed, *name.encode()])
    shift = rng.normal(0, plan.spread) if plan.spread else 0.0
    plan = replace(plan, validation=float(np.clip(plan.validation + shift, 0, 1)))
    predictions = {
        split: _predictions(data, split, accuracy, plan, classes, examples, weights, rng)
        for split, accuracy in (("train", plan.train), ("validation", plan.validation), ("test", plan.test))
        if accuracy is not None
    }
    directory = root / data / name / f"seed={seed}"
    history, kept = _history(plan, predictions, classes, rng)
    write_history(directory / HISTORY_FILE, history)
    write_predictions(directory / PREDICTIONS_FILE, predictions)
    (directory / CONFIG_FILE).write_text(f"model:\n  family: {plan.family}\n")
    write_record(directory, _info(plan, data, name, seed, classes, examples, kept) | info)
    return directory


def plant_failed(root: Path, family: str, error: str, *, data: str = "toy", seed: int = 0, classes: int = 10) -> Path:
    """Write the record of a run that failed before it had predictions."""
    directory = root / data / f"{data}-{family}" / f"seed={seed}"
    info = _info(Plan(family), data, f"{data}-{family}", seed, classes, 400, 1)
    write_record(directory, info | {"status": "failed", "error": error, "kept_epoch": None})
    return directory


def _predictions(
    data: str,
    split: str,
    accuracy: float,
    plan: Plan,
    classes: int,
    examples: int,
    weights: np.ndarray | None,
    rng: np.random.Generator,
) -> tuple[list[str], np.ndarray, np.ndarray]:
    shared = np.random.default_rng([7, *f"{data}/{split}".encode()])
    target = shared.choice(classes, size=examples, p=weights)
    # what is hard for one run tends to be hard for another
    difficulty = shared.normal(size=examples) + 0.7 * rng.normal(size=examples)
    right = np.zeros(examples, dtype=bool)
    right[np.argsort(difficulty)[: round(accuracy * examples)]] = True
    wrong = (target + rng.integers(1, classes, examples)) % classes
    winner = np.where(right, target, wrong)
    # surer on easy examples; more so the better the fit to train
    sure = 0.55 + 0.44 * plan.train / (1 + np.exp(difficulty + rng.normal(0, 0.5, examples)))
    probabilities = np.repeat((1 - sure)[:, None] / (classes - 1), classes, axis=1)
    probabilities[np.arange(examples), winner] = sure
    return [f"{split}-{i:05d}" for i in range(examples)], target, probabilities.astype(np.float32)


def _history(
    plan: Plan, predictions: dict[str, Any], classes: int, rng: np.random.Generator
) -> tuple[list[dict[str, Any]], int]:
    measured = {split: _measure(*predictions[split]) for split in ("train", "validation")}
    if plan.kind == "baseline":
        common = {"epoch": 1, "step": 1, "seconds": plan.fit_seconds}
        return [common | {"split": split} | values for split, values in measured.items()], 1
    epoch = np.arange(1, plan.epochs + 1)
    learned = 1 - np.exp(-epoch / plan.speed)
    start = np.log(classes)
    curves = {}
    for split in ("train", "validation"):
        floor, accuracy = measured[split]["loss"], measured[split]["accuracy"]
        loss = start + (floor - start) * learned
        if split == "validation" and plan.onset:
            loss = loss + plan.slope * np.maximum(0, epoch - plan.onset)
        loss = np.abs(loss + rng.normal(0, plan.noise, plan.epochs) * np.sqrt(np.maximum(loss, 0.01)))
        score = 1 / classes + (accuracy - 1 / classes) * learned + rng.normal(0, plan.noise / 3, plan.epochs)
        curves[split] = {"loss": loss, "accuracy": np.clip(score, 0, 1)}
    kept = int(epoch[curves["validation"]["loss"].argmin()])
    for split, values in measured.items():
        for metric, value in values.items():
            curves[split][metric][kept - 1] = value
    rows = [
        {"epoch": int(e), "step": int(e) * 32, "split": split, "learning_rate": 0.01}
        | {metric: float(values[e - 1]) for metric, values in curves[split].items()}
        | {"seconds": plan.fit_seconds * int(e) / plan.epochs}
        for e in epoch
        for split in ("train", "validation")
    ]
    return rows, kept


def _measure(ids: list[str], target: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    of_target = probabilities[np.arange(len(ids)), target]
    return {
        "loss": float(-np.log(of_target).mean()),
        "accuracy": float((probabilities.argmax(axis=1) == target).mean()),
    }


def _info(plan: Plan, data: str, name: str, seed: int, classes: int, examples: int, kept: int) -> dict[str, Any]:
    def digest(*parts: object) -> str:
        return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()

    return {
        "name": name,
        "data": data,
        "family": plan.family,
        "kind": plan.kind,
        "seed": seed,
        "status": "finished",
        "error": None,
        "task": "classification",
        "classes": [str(i) for i in range(classes)],
        "monitor": "loss",
        "mode": "min",
        "kept_epoch": kept,
        "epochs": plan.epochs if plan.kind == "deep" else 1,
        "steps": plan.epochs * 32,
        "parameters": plan.parameters,
        "fit_seconds": plan.fit_seconds,
        "train_examples": 8 * examples,
        "train_subset": examples,
        "counts": {"train": 8 * examples, "validation": examples, "test": examples},
        "hashes": {"config": digest(name), "data": digest(data), "code": digest("code")},
        "key": digest(name, seed)[:16],
        "lineage": {"git_commit": digest("commit")[:40], "git_dirty": False, "started": "2025-01-31T09:00:00Z"},
        "mlflow": {
            "tracking_uri": "sqlite:///mlflow.db",
            "experiment_id": "1",
            "run_id": digest(name, seed, "run")[:32],
        },
        "test_openings": 0 if plan.test is None else 1,
        "data_test_openings": 0 if plan.test is None else 36,
    }


MNIST1D = [
    Plan("cnn", train=0.992, validation=0.925, test=0.921, epochs=60, speed=6, onset=22, slope=0.009),
    Plan("resnet", train=0.998, validation=0.902, test=0.897, epochs=60, speed=5, onset=14, slope=0.015,
         parameters=41226),
    Plan("gru", train=0.96, validation=0.885, test=0.883, epochs=60, speed=14, onset=48, slope=0.004, parameters=5134),
    Plan("lstm", train=0.93, validation=0.84, test=0.835, epochs=60, speed=16, parameters=18954, fit_seconds=11.2),
    Plan("transformer", train=0.90, validation=0.79, test=0.78, epochs=60, speed=15,
         parameters=68042, fit_seconds=19.0),
    Plan("mlp", train=0.995, validation=0.66, test=0.652, epochs=60, speed=6, onset=10, slope=0.03, parameters=15210),
    Plan("rnn", train=0.52, validation=0.485, test=0.48, epochs=60, speed=15, parameters=5002, fit_seconds=7.1),
]  # fmt: skip
BASELINES = [
    Plan("random_forest", "baseline", 1.0, 0.80, 0.796, parameters=None, fit_seconds=4.1),
    Plan("hist_gradient_boosting", "baseline", 1.0, 0.742, 0.74, parameters=None, fit_seconds=9.3),
    Plan("knn", "baseline", 0.72, 0.60, 0.598, parameters=None, fit_seconds=0.01, spread=0.0),
    Plan("logistic", "baseline", 0.372, 0.329, 0.32, parameters=410, fit_seconds=0.4, spread=0.0),
    Plan("majority", "baseline", 0.11, 0.105, 0.1, parameters=None, fit_seconds=0.001, spread=0.0),
]
DIGITS = [
    Plan("cnn", train=1.0, validation=0.988, test=0.985, epochs=40, speed=4, parameters=14810),
    Plan("resnet", train=1.0, validation=0.985, test=0.981, epochs=40, speed=3, onset=20, slope=0.003,
         parameters=61066),
    Plan("mlp", train=1.0, validation=0.972, test=0.97, epochs=40, speed=5, onset=24, slope=0.002, parameters=26122),
    Plan("gru", train=0.995, validation=0.966, test=0.962, epochs=40, speed=6, parameters=15690),
    Plan("lstm", train=0.99, validation=0.958, test=0.955, epochs=40, speed=7, parameters=20490),
    Plan("transformer", train=0.985, validation=0.945, test=0.94, epochs=40, speed=8, parameters=67914),
]  # fmt: skip
DIGITS_BASELINES = [
    Plan("random_forest", "baseline", 1.0, 0.977, 0.975, parameters=None, fit_seconds=1.2),
    Plan("hist_gradient_boosting", "baseline", 1.0, 0.965, 0.962, parameters=None, fit_seconds=6.0),
    Plan("knn", "baseline", 0.99, 0.983, 0.98, parameters=None, fit_seconds=0.01, spread=0.0),
    Plan("logistic", "baseline", 0.998, 0.966, 0.961, parameters=650, fit_seconds=0.3, spread=0.0),
    Plan("majority", "baseline", 0.105, 0.10, 0.1, parameters=None, fit_seconds=0.001, spread=0.0),
]


def study(root: Path, seeds: int = 3) -> Path:
    """Write the records of a small pipeline below `root`; one run of digits fails, another has nothing but failures."""
    for seed in range(seeds):
        for plan in MNIST1D + BASELINES:
            plant(root, plan, data="mnist1d", seed=seed, examples=800)
        for plan in DIGITS + DIGITS_BASELINES:
            if (plan.family, seed) != ("transformer", 1):
                plant(root, plan, data="digits", seed=seed, examples=360)
        plant_failed(root, "rnn", f"the loss is NaN at step {37 + seed}", data="digits", seed=seed)
    plant_failed(root, "transformer", "out of memory at step 12 <64 MiB asked>", data="digits", seed=1)
    return root
