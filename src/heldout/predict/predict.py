"""Predictions of a trained model, as a file and an artifact of a run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from heldout.config.predict import PredictConfig
from heldout.data.pairs import source_texts
from heldout.data.store import to_column
from heldout.data.tokens import load_tokenizer
from heldout.pictures import COLUMNS, DRAWN, sheet
from heldout.predict.errors import DoesNotFit
from heldout.predict.inputs import examples_of
from heldout.predict.model import TrainedModel, trained_model
from heldout.record import write_bytes
from heldout.scoring import GENERATION, TRANSLATION
from heldout.tracking import RunTracker, Tracking, connect

logger = logging.getLogger(__name__)

FILE = "predictions.parquet"
DRAWN_FILE = "drawn.parquet"
KIND = "prediction"
# columns of classes are named after it
PROBABILITY = "probability."


def predict(config: PredictConfig) -> Path:
    """Writes predictions.parquet, a row an example: `id`, `prediction`, and a column `probability.CLASS` a class.

    Of a language model there is `bits_per_byte` in place of a prediction, of a translation `source` and `translation`.
    A model that draws images writes drawn.png and drawn.parquet instead, with a row an image: `seed` and `image`.

    Raises:
        UserError: the model, the examples or the tracking store cannot be used; nothing is written then.
    """
    if config.out is None:
        raise ValueError("config.out is not set; expected the folder for the predictions")
    tracking = connect(config.tracking)
    with trained_model(config.run, config.tracking.uri) as model:
        if model.card.task == GENERATION:
            return _drawn(config, model, tracking)
        examples = examples_of(config, model)
        table = _table(model, examples.ids, examples.inputs)
        out = Path(config.out) / FILE
        _write(out, table)
        params = {"run": config.run, "path": config.path, "prepared": config.prepared, "id": config.id}
        params |= {} if config.path else {"split": config.split.name}
        with _run(tracking, "predict", model, params) as run:
            run.log_metrics({"examples": float(table.num_rows)}, 0)
            run.log_artifact(out)
    logger.info("%d examples predicted, in %s", table.num_rows, out)
    return out


def _run(tracking: Tracking, verb: str, model: TrainedModel, params: dict[str, Any]) -> RunTracker:
    tags = {"heldout.kind": KIND, "heldout.data": model.card.name}
    tags |= {"heldout.model_run": model.run_id} if model.run_id else {}
    return tracking.start_run(f"{verb} {model.card.name}", tags=tags, params=params, system_metrics=False)


def _drawn(config: PredictConfig, model: TrainedModel, tracking: Tracking) -> Path:
    if config.path is not None:
        raise DoesNotFit(
            f"path={config.path}: this model draws images, and reads none; expected draw=N, how many, and a seed."
        )
    seeds = np.arange(config.seed, config.seed + config.draw)
    images = model.predictor.draw(seeds)
    out = Path(str(config.out))
    _write(out / DRAWN_FILE, pa.table({"seed": seeds, "image": to_column(images)}))
    write_bytes(out / DRAWN, sheet(images, COLUMNS))
    with _run(tracking, "draw", model, {"run": config.run, "draw": config.draw, "seed": config.seed}) as run:
        for name in (DRAWN_FILE, DRAWN):
            run.log_artifact(out / name)
    logger.info("%d images drawn, in %s", len(images), out)
    return out / DRAWN_FILE


def _table(model: TrainedModel, ids: np.ndarray, inputs: dict[str, np.ndarray]) -> pa.Table:
    predicted = model.predictor.predict_encoded(inputs)
    columns: dict[str, pa.Array] = {"id": pa.array(ids.tolist(), pa.string())}
    if model.card.task == TRANSLATION:
        columns["source"] = pa.array(source_texts(inputs, load_tokenizer(model.card.tokenizer)), pa.string())
        return pa.table({**columns, "translation": pa.array(predicted["translation"].tolist(), pa.string())})
    if not model.card.classes:
        numbers = {name: pa.array(predicted[name].to_numpy(), pa.float64()) for name in predicted.columns}
        return pa.table({**columns, **numbers})
    probabilities = predicted.to_numpy()
    classes = np.array(model.card.classes)
    columns["prediction"] = pa.array(classes[probabilities.argmax(axis=1)].tolist(), pa.string())
    for number, name in enumerate(model.card.classes):
        columns[f"{PROBABILITY}{name}"] = pa.array(probabilities[:, number], pa.float32())
    return pa.table(columns)


def _write(file: Path, table: pa.Table) -> None:
    from pyarrow import parquet

    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    parquet.write_table(table, partial)
    partial.replace(file)
