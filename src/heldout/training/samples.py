"""What a model has written, for people to read."""

from __future__ import annotations

from heldout.config.training import TaskConfig, TranslateConfig
from heldout.predictions import Predictions

SAMPLES = "samples.txt"


def samples_of(task: TaskConfig, predictions: Predictions) -> dict[str, str]:
    """The first translations of these, with text and reference, by the name of a file; of other tasks nothing."""
    if not isinstance(task, TranslateConfig) or task.samples == 0:
        return {}
    texts = predictions.texts
    rows = zip(predictions.ids, texts["source"], texts["reference"], texts["hypothesis"], strict=True)
    told = [
        f"--- {name} ---\nsource     {source}\nreference  {reference}\nmodel      {hypothesis}\n"
        for name, source, reference, hypothesis in list(rows)[: task.samples]
    ]
    return {SAMPLES: "\n".join(told)}
