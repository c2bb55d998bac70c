"""How long predictions take, deep and classical measured alike."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from heldout.analysis.study import Inference
from heldout.data.card import Card
from heldout.data.store import Split, read_split
from heldout.record import Record
from heldout.training.evaluate import load_predictor
from heldout.training.predicting import Predictor

FILE = "inference.json"
EXAMPLES = 1000
# calls of which the median is taken, and seconds that they fill at least
CALLS = 5
SECONDS = 0.1


class Timings:
    """Measured once a model, and kept in the folder of the study."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        known = json.loads(self._file.read_text(encoding="utf-8")) if self._file.is_file() else {}
        self._known: dict[str, Inference] = {model: Inference(**values) for model, values in known.items()}

    def of(self, records: Sequence[Record]) -> Inference | None:
        """Of the first of these runs of one configuration that is finished; None where there is none."""
        record = next((record for record in records if record.info["status"] == "finished"), None)
        if record is None:
            return None
        model = record.info["hashes"]["model"]
        if model not in self._known:
            self._known[model] = measure(record)
            partial = self._file.with_suffix(".partial")
            partial.write_text(json.dumps({name: vars(of) for name, of in self._known.items()}), encoding="utf-8")
            partial.replace(self._file)
        return self._known[model]


def measure(record: Record) -> Inference:
    """Time for the probabilities of 1,000 examples from the arrays of the prepared data, and size of the model file.

    Examples of validation, repeated where it has fewer, in one call and one thread: the median of several calls after
    a first one that does not count.
    """
    folder = Path(record.info["lineage"]["data_path"])
    predict = load_predictor(record, Card.load(folder), folder)
    validation = read_split(folder, "validation")
    rows = np.resize(np.arange(len(validation)), EXAMPLES)
    inputs = {name: values[rows] for name, values in validation.inputs.items()}
    split = Split(validation.ids[rows], inputs, validation.target[rows])
    size = (record.path / record.info["model_file"]).stat().st_size
    return Inference(_seconds(predict, split, record.info["kind"] == "deep"), size)


def _seconds(predict: Predictor, split: Split, deep: bool) -> float:
    from joblib import parallel_config  # type: ignore[import-untyped]
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if deep:
        import torch

        torch.set_num_threads(1)
    taken: list[float] = []
    # a forest would bring threads of its own, which cost it more than they give for so few examples
    with threadpool_limits(1), parallel_config(backend="sequential"):
        predict(split)
        while len(taken) < CALLS or sum(taken) < SECONDS:
            started = time.perf_counter()
            predict(split)
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)
