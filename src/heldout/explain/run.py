"""The trained network of a run, wherever the run is, and the data it was trained on."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from heldout.config.compose import load_model_config
from heldout.config.model import DeepConfig
from heldout.data.card import CARD_FILE, Card
from heldout.data.errors import CardMismatch
from heldout.errors import UserError
from heldout.models import build, load_weights
from heldout.models.weights import find_weights
from heldout.record import CONFIG_FILE, Record
from heldout.scoring import CLASSIFICATION, GENERATION, LANGUAGE, REGRESSION, TRANSLATION
from heldout.tracking.fetch import fetched_run

# tasks whose answer for an example is one class or one number
EXPLAINED = (CLASSIFICATION, REGRESSION)


class NotExplainable(UserError):
    """A run that has no network to explain."""


@dataclass(frozen=True)
class TrainedRun:
    """A trained network with its card.

    build: a network of the same settings with fresh weights. data: folder of the prepared data, as the run knew it.
    record: its folder; None where the run was given by its id.
    """

    name: str
    network: nn.Module
    build: Callable[[], nn.Module]
    card: Card
    data: Path | None
    run_id: str | None
    record: Path | None


def load_run(run: str) -> TrainedRun:
    """The run in the folder of a record, or of an id in MLflow; a record without its model file takes it from MLflow.

    Raises:
        NotExplainable: it did not finish, is a baseline, or its model is nowhere.
        RecordError, UnknownRun, UnreadableModelFile: the record, the run or the file cannot be read.
    """
    folder = Path(run)
    if not folder.exists() and os.sep not in run:
        return _from_store(run)
    record = Record.load(folder)
    info = record.info
    if info["status"] != "finished" or info["kind"] != "deep":
        raise NotExplainable(
            f"{folder} is a {info['kind']} run that is {info['status']}; expected a network whose training finished."
        )
    run_id = info.get("mlflow", {}).get("run_id")
    name = f"{info['name']} seed {info['seed']}"
    data = info.get("lineage", {}).get("data_path")
    if (weights := find_weights(folder)) is not None:
        return _made(name, folder, weights, data, run_id, folder)
    if run_id is None:
        raise NotExplainable(f"{folder} has no weights and names no run in MLflow; expected either. Train again.")
    with fetched_run(run_id, info["mlflow"]["tracking_uri"]) as (_, _, files):
        if (weights := find_weights(files)) is None:
            raise NotExplainable(
                f"neither {folder} nor its run {run_id} in MLflow has the model: give the folder that `train` left, "
                "or train again with tracking.models=true."
            )
        return _made(name, folder, weights, data, run_id, folder)


def _from_store(run_id: str) -> TrainedRun:
    with fetched_run(run_id, None) as (_, data, files):
        weights, card = find_weights(files), next(iter(files.rglob(CARD_FILE)), None)
        if weights is None or card is None or not (files / CONFIG_FILE).is_file():
            raise NotExplainable(
                f"run {run_id} in MLflow has no network with its card and config; expected a finished training of a "
                "network with tracking.models=true."
            )
        return _made(f"run {run_id}", card.parent, weights, data, run_id, None, files / CONFIG_FILE)


def _made(
    name: str,
    folder: Path,
    weights: Path,
    data: str | None,
    run_id: str | None,
    record: Path | None,
    config_file: Path | None = None,
) -> TrainedRun:
    config = load_model_config(config_file or folder / CONFIG_FILE)
    if not isinstance(config, DeepConfig):
        raise NotExplainable(f"{name} is a {config.family}; expected a network.")
    card = Card.load(folder)
    if card.task not in EXPLAINED:
        does = {
            LANGUAGE: "predicts the next token of a text",
            TRANSLATION: "predicts a translation",
            GENERATION: "draws images",
        }.get(card.task, f"is of the task {card.task}")
        raise NotExplainable(
            f"{name} {does}; expected a network that tells classes apart or predicts a number, of the task "
            f"{' or '.join(EXPLAINED)}."
        )
    network = build(config, card)
    load_weights(network, weights)
    return TrainedRun(
        name=name,
        network=network.eval(),
        build=lambda: build(config, card),
        card=card,
        data=None if data is None else Path(data),
        run_id=run_id,
        record=record,
    )


def data_of(run: TrainedRun, given: str | None) -> Path:
    """The folder of the data that the run was trained on.

    Raises:
        NotExplainable: nobody says where it is. CardMismatch: it holds other data. CardUnreadable: it holds none.
    """
    folder = Path(given) if given else run.data
    if folder is None:
        raise NotExplainable(f"{run.name} does not say where its data are; expected prepared=FOLDER.")
    card = Card.load(folder)
    if card.data_hash != run.card.data_hash:
        raise CardMismatch(
            f"{run.name} was trained on data {run.card.data_hash[:12]}..., {folder} holds {card.data_hash[:12]}...; "
            "expected the same. Prepare that data again, or give its folder as prepared=FOLDER."
        )
    card.verify(folder)
    return folder
