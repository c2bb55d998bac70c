"""Writes the record of a fit and tells MLflow of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from heldout.config.stages import TrainConfig
from heldout.data.card import Card
from heldout.data.hashing import hash_file
from heldout.data.test_split import count_openings
from heldout.inside import INSIDE_FILE, LAYERS_FILE, Layer, write_inside
from heldout.record import (
    CONFIG_FILE,
    HISTORY_FILE,
    PREDICTIONS_FILE,
    RECORD_FILE,
    write_bytes,
    write_history,
    write_predictions,
    write_record,
    write_text,
)
from heldout.scoring import TRANSLATION, scoring_of
from heldout.tracking import RunTracker
from heldout.tracking.lineage import collect
from heldout.training.fitted import FitInputs, Fitted, FromInside
from heldout.training.identity import Identity
from heldout.training.prepared import Prepared
from heldout.translations import signatures

LEDGER = Path(".heldout/test_openings.jsonl")
EXAMPLE_ROWS = 3
# of what a network costs, as metrics of its run
COSTS = ("flops", "peak_memory", "train_examples_per_second", "predict_examples_per_second")


@dataclass(frozen=True)
class Job:
    """One fit to be done: a configuration on prepared data with one seed, as one run in MLflow."""

    config: TrainConfig
    prepared: Prepared
    identity: Identity
    seed: int
    run: RunTracker
    # of the start that finishes it, where it was interrupted
    started: datetime
    # of a cross-validated trial
    fold: int | None = None

    @property
    def name(self) -> str:
        fold = "" if self.fold is None else f" fold {self.fold}"
        return f"{self.config.name} seed {self.seed}{fold}"


def write_outcome(folder: Path, job: Job, data: FitInputs, fitted: Fitted, log_model: bool = True) -> None:
    """The record of a finished fit in `folder`, and its files, model and last metrics in MLflow."""
    run = job.run
    folder.mkdir(parents=True, exist_ok=True)
    task = job.prepared.card.task
    write_history(folder / HISTORY_FILE, fitted.history, task)
    write_predictions(folder / PREDICTIONS_FILE, fitted.predictions, task)
    model_file = fitted.model_file.replace(folder / fitted.model_file.name)
    info = {
        **_common(folder, job),
        "status": "finished",
        "error": None,
        "kept_epoch": fitted.kept_epoch,
        "epochs": fitted.epochs,
        "steps": fitted.steps,
        "parameters": fitted.parameters,
        "fit_seconds": fitted.seconds,
        "train_examples": len(data.train),
        "train_subset": len(data.train_subset),
        "model_file": model_file.name,
        **({} if fitted.started_from is None else {"initial_weights": asdict(fitted.started_from)}),
    }
    info["hashes"]["model"] = hash_file(model_file)
    if task == TRANSLATION:
        info["signatures"] = signatures()
        run.set_tags({f"heldout.signature.{name}": signature for name, signature in info["signatures"].items()})
    run.log_metrics(
        {f"kept/{key}": float(value) for key, value in _kept(fitted, task).items()}
        | {"fit_seconds": fitted.seconds, "parameters": float(fitted.parameters or 0)},
        fitted.kept_epoch,
    )
    if fitted.inside is not None:
        _write_inside(folder, fitted.inside, run, fitted.kept_epoch)
    if log_model:
        example = {name: values[:EXAMPLE_ROWS] for name, values in data.validation.inputs.items()}
        run.log_model(model_file, folder / CONFIG_FILE, job.prepared.card, example)
    for name, text in fitted.texts.items():
        write_text(folder / name, text)
        run.log_artifact(folder / name)
    for name, picture in fitted.pictures.items():
        write_bytes(folder / name, picture)
        run.log_artifact(folder / name)
    # last: from here on the record counts
    write_record(folder, info)
    for name in (HISTORY_FILE, PREDICTIONS_FILE, CONFIG_FILE, RECORD_FILE):
        run.log_artifact(folder / name)


def _write_inside(folder: Path, inside: FromInside, run: RunTracker, epoch: int) -> None:
    write_inside(folder, inside.layers, inside.cost, inside.rows)
    for name in (LAYERS_FILE, INSIDE_FILE):
        if (folder / name).is_file():
            run.log_artifact(folder / name)
    columns = [field.name for field in fields(Layer)]
    run.log_table("layers_table", columns, [[getattr(layer, c) for c in columns] for layer in inside.layers])
    numbers = {key: value for key, value in asdict(inside.cost).items() if key in COSTS}
    run.log_metrics({f"cost/{key}": float(value) for key, value in numbers.items()}, epoch)


def write_failure(folder: Path, job: Job, error: str) -> None:
    """The record of a fit that failed: its cause instead of its results."""
    folder.mkdir(parents=True, exist_ok=True)
    write_record(folder, {**_common(folder, job), "status": "failed", "error": error})
    for name in (CONFIG_FILE, RECORD_FILE):
        job.run.log_artifact(folder / name)


def _common(folder: Path, job: Job) -> dict[str, Any]:
    config, identity, run = job.config, job.identity, job.run
    card: Card = job.prepared.card
    card.save(folder)
    (folder / CONFIG_FILE).write_text(identity.config_text, encoding="utf-8")
    lineage = collect(yaml.safe_load(identity.config_text), job.prepared.folder, card.data_hash, job.seed)
    run.set_tags(lineage.tags())
    return {
        "name": config.name,
        "data": config.data.name,
        "family": config.model.family,
        "kind": "baseline" if config.is_baseline else "deep",
        "seed": job.seed,
        **({} if job.fold is None else {"fold": job.fold}),
        "started": job.started.isoformat(timespec="seconds"),
        "task": card.task,
        "classes": card.classes,
        **({"target": card.target} if card.target else {}),
        "monitor": config.trainer.monitor,
        "mode": config.trainer.mode.name,
        "counts": card.counts,
        "hashes": {"config": identity.config_hash, "data": identity.data_hash, "code": lineage.code_hash},
        "key": identity.key,
        "lineage": lineage.to_dict(),
        "mlflow": {
            "tracking_uri": run.tracking_uri,
            "experiment_id": run.experiment_id,
            "run_id": run.run_id,
            "parent_run_id": run.parent_run_id,
        },
        "test_openings": 0,
        "data_test_openings": count_openings(LEDGER, card.data_hash),
    }


def _kept(fitted: Fitted, task: str) -> dict[str, float]:
    rows = [row for row in fitted.history if row["epoch"] == fitted.kept_epoch]
    measures = scoring_of(task).measures
    found = {f"{row['split']}_{one.name}": row[one.name] for row in rows for one in measures if one.name in row}
    # what no epoch is measured by
    at_the_end = {
        f"{split}_{one.name}": one(rows)
        for split, rows in fitted.predictions.items()
        for one in measures
        if not one.each_epoch
    }
    return found | {name: value for name, value in at_the_end.items() if value is not None}
