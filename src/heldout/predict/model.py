"""A trained model, wherever it is: in the folder of a record, in a run, or in MLflow's registry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heldout.data.card import CARD_FILE, Card
from heldout.predict.errors import NoModel
from heldout.record import CONFIG_FILE, RECORD_FILE, Record
from heldout.tracking.fetch import MODELS_SCHEME, fetched_model, fetched_run
from heldout.tracking.lineage import MODEL_FILES

if TYPE_CHECKING:
    from heldout.tracking.pyfunc_model import HeldoutModel


@dataclass(frozen=True)
class TrainedModel:
    """A model ready to predict.

    config_file: of its training. data: folder of the data it was trained on, as the run knew it. run_id: of the
    training, where it is known.
    """

    card: Card
    predictor: HeldoutModel
    config_file: Path
    data: Path | None
    run_id: str | None


@contextmanager
def trained_model(reference: str, uri: str | None) -> Iterator[TrainedModel]:
    """The model that `reference` names, with its files for as long as this is open.

    Args:
        reference: id of a run, folder of a record, or `models:/NAME/VERSION`, `models:/NAME@ALIAS`.
        uri: of the tracking store, as `tracking.uri`.

    Raises:
        NoModel: there is none, or none of Heldout's.
        UnknownRun, RecordError, TrackingUnavailable: the run, the record or the store cannot be read.
    """
    if reference.startswith(MODELS_SCHEME):
        with fetched_model(reference, uri) as (files, run_id):
            yield _loaded(reference, files, None, run_id)
        return
    folder = Path(reference)
    if not folder.exists() and os.sep not in reference:
        with fetched_run(reference, uri) as (_, data, files):
            yield _loaded(f"run {reference} in MLflow", files, data, reference)
        return
    if not (folder / RECORD_FILE).is_file():
        raise NoModel(
            f"run={reference}: there is no record; expected the folder of one, which holds {RECORD_FILE}, the id of "
            f"a run, or {MODELS_SCHEME}NAME/VERSION."
        )
    info = Record.load(folder).info
    data, run_id = info.get("lineage", {}).get("data_path"), info.get("mlflow", {}).get("run_id")
    if _model_file(folder) is not None or run_id is None:
        yield _loaded(str(folder), folder, data, run_id)
        return
    # a record that was completed by `evaluate` leaves the model to its run
    with fetched_run(run_id, info["mlflow"]["tracking_uri"]) as (_, _, files):
        yield _loaded(f"run {run_id} of {folder}", files, data, run_id)


def _model_file(folder: Path) -> Path | None:
    return next((path for name in MODEL_FILES for path in sorted(folder.rglob(name))), None)


def _loaded(name: str, folder: Path, data: str | None, run_id: str | None) -> TrainedModel:
    files = {
        "config": next(iter(folder.rglob(CONFIG_FILE)), None),
        "card": next(iter(folder.rglob(CARD_FILE)), None),
        "model": _model_file(folder),
    }
    if missing := [what for what, path in files.items() if path is None]:
        raise NoModel(
            f"{name} has no {' and no '.join(missing)}; expected a training that finished, with tracking.models=true, "
            "or the folder that `train` left."
        )
    from mlflow.pyfunc.model import PythonModelContext

    from heldout.tracking.pyfunc_model import HeldoutModel

    predictor = HeldoutModel()
    found = {what: str(path) for what, path in files.items()}
    predictor.load_context(PythonModelContext(artifacts=found, model_config={}))  # type: ignore[no-untyped-call]
    card = Card.load(Path(found["card"]).parent)
    return TrainedModel(card, predictor, Path(found["config"]), None if data is None else Path(data), run_id)
