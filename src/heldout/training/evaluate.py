"""Opens the test set, once for every finished run, and completes its record. Nothing else reads the test set."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from heldout.config.compose import load_model_config, load_task_config
from heldout.config.model import BaselineConfig, DeepConfig
from heldout.config.stages import EvaluateConfig
from heldout.data.card import Card
from heldout.data.errors import CardMismatch
from heldout.data.hashing import hash_file
from heldout.data.store import read_split
from heldout.data.test_split import count_openings, open_test_split
from heldout.record import (
    CONFIG_FILE,
    PREDICTIONS_FILE,
    RECORD_FILE,
    Record,
    RecordError,
    append_predictions,
    find_records,
    write_record,
)
from heldout.scoring import GENERATION
from heldout.tasks.drawn import RealImages
from heldout.tracking import Tracking, connect
from heldout.training.outcome import LEDGER
from heldout.training.predicting import Predictor, baseline_predictor

logger = logging.getLogger(__name__)

EVAL_BATCH_SIZE = 1000


def evaluate(config: EvaluateConfig) -> list[Record]:
    """Completes every record below `config.runs` with test predictions, in the same folders below `config.out`.

    A run whose complete record is there already, of the same model and data, is left as it is: its test set is not
    opened a second time. Failed runs are copied. Folders in `config.out` that have no run any more are removed.

    Raises:
        RecordError: no runs, or one that is damaged or was trained on other data than is there now.
    """
    runs, out = Path(config.runs), Path(config.out)
    folders = _chosen(runs, out, config.only)
    tracking: Tracking | None = None
    complete = []
    for folder in folders:
        target = out / folder.relative_to(runs)
        record = Record.load(folder)
        if not _is_complete(target, record):
            tracking = tracking or connect(config.tracking)
            _complete(record, target, config.prepared, tracking)
        complete.append(target)
    _remove_others(out, complete)
    return [Record.load(target) for target in complete]


def _chosen(runs: Path, out: Path, only: list[str] | None) -> list[Path]:
    inside = [folder for folder in find_records(runs) if not folder.is_relative_to(out)]
    chosen = [f for f in inside if only is None or set(f.relative_to(runs).parts[:1]) & set(only)]
    if not chosen:
        raise RecordError(f"no runs below {runs} (only={only}); expected folders that `train` left there.")
    return chosen


def _is_complete(target: Path, run: Record) -> bool:
    if not (target / RECORD_FILE).is_file():
        return False
    done = Record.load(target).info
    same_run = done["hashes"] == run.info["hashes"] and done.get("mlflow") == run.info.get("mlflow")
    return same_run and done["status"] == run.info["status"]


def _complete(record: Record, target: Path, prepared: str | None, tracking: Tracking) -> None:
    finished = record.info["status"] == "finished"
    folder = Path(prepared or record.info["lineage"]["data_path"])
    # before anything is written: it refuses records and data that are not those of the fit
    predict = _predictor_for(record, folder) if finished else None
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(record.path, partial, ignore=shutil.ignore_patterns(record.info.get("model_file", "")))
        if predict is not None:
            _open_test_set(record, partial, folder, predict, tracking)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _predictor_for(record: Record, folder: Path) -> Predictor:
    info = record.info
    card = Card.load(folder)
    if card.data_hash != info["hashes"]["data"]:
        raise CardMismatch(
            f"{record.path} was trained on data {info['hashes']['data'][:12]}..., but {folder} holds "
            f"{card.data_hash[:12]}...; expected the same. Prepare that data again, or train again."
        )
    return load_predictor(record, card, folder)


def _open_test_set(record: Record, partial: Path, folder: Path, predict: Predictor, tracking: Tracking) -> None:
    info = record.info
    data_hash, run_id = info["hashes"]["data"], info["mlflow"]["run_id"]
    # before the test set is opened: a store that is away must not cost an opening
    run = tracking.find(run_id)
    test = open_test_split(folder, LEDGER, run=run_id)
    predicted = predict(test)
    append_predictions(partial / PREDICTIONS_FILE, {"test": predicted}, record.task)
    openings = count_openings(LEDGER, data_hash, run_id)
    in_all = count_openings(LEDGER, data_hash)
    measured = record.scoring.of(predicted)
    write_record(partial, {**info, "test_openings": openings, "data_test_openings": in_all, "test": measured})
    if run is not None:
        run.log_metrics({f"test/{name}": value for name, value in measured.items()}, info["kept_epoch"])
        run.set_tags({"heldout.test_openings": str(openings), "heldout.data_test_openings": str(in_all)})
        run.log_artifact(partial / PREDICTIONS_FILE)
        run.log_artifact(partial / RECORD_FILE)
        run.finish()
    score = record.scoring.score
    logger.info("%s seed %d  test %s %.4f", info["name"], info["seed"], score.label, measured[score.name])


def load_predictor(record: Record, card: Card, folder: Path) -> Predictor:
    """The model of a record as a function from a split to its predictions.

    Args:
        folder: of the prepared data that the card describes; images are measured beside those of train.

    Raises:
        RecordError: the model file is absent or is not the one that was fitted.
    """
    model_file = record.path / record.info["model_file"]
    if not model_file.is_file() or hash_file(model_file) != record.info["hashes"]["model"]:
        raise RecordError(f"{model_file} is absent or not the file that was fitted; train this run again.")
    config: Any = load_model_config(record.path / CONFIG_FILE)
    real = None
    if card.task == GENERATION:
        real = RealImages(read_split(folder, "train"), read_split(folder, "validation"))
    if isinstance(config, BaselineConfig):
        from heldout.models import baselines

        return baseline_predictor(baselines.load(model_file), card, real)
    from heldout.training.deep import load_network, network_predictor

    assert isinstance(config, DeepConfig)
    network = load_network(config, card, model_file)
    return network_predictor(network, EVAL_BATCH_SIZE, card, load_task_config(record.path / CONFIG_FILE), real)


def _remove_others(out: Path, kept: list[Path]) -> None:
    for folder in find_records(out):
        if folder not in kept:
            shutil.rmtree(folder)
    for folder in sorted((path for path in out.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
