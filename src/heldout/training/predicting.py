"""What comes out of a model, as the record holds it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from heldout.data.card import Card
from heldout.data.packing import next_tokens
from heldout.data.store import Split
from heldout.data.token_sums import TokenTable
from heldout.predictions import Predictions
from heldout.scoring import CLASSIFICATION, LANGUAGE, RECOMMENDATION

Predictor = Callable[[Split], Predictions]


def predictor(outputs: Callable[[Split], np.ndarray], card: Card) -> Predictor:
    """Predictions of a split, from a model that gives probabilities float32 [examples, classes], or float64 [examples]:
    in the unit of the target, or of texts their losses in nats."""

    table = TokenTable.of(card) if card.task == LANGUAGE else None

    def predict(split: Split) -> Predictions:
        found = outputs(split)
        if card.task == CLASSIFICATION:
            return Predictions(split.ids, split.target, found)
        if table is not None:
            return Predictions(split.ids, columns={"loss": found, **table.sums(next_tokens(split.inputs))})
        columns = {"prediction": found}
        if card.task == RECOMMENDATION:
            columns["user"] = split.inputs["categorical"][:, 0].astype(np.float64)
        return Predictions(split.ids, split.target, columns=columns, reference=card.target["mean"])

    return predict
