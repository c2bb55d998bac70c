"""What comes out of a model, as the record holds it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from heldout.config.training import GenerateConfig, TaskConfig
from heldout.data.card import Card
from heldout.data.packing import next_tokens
from heldout.data.pairs import side_texts
from heldout.data.store import Split
from heldout.data.token_sums import TokenTable
from heldout.data.tokens import load_tokenizer
from heldout.models.baselines import Baseline
from heldout.models.seeded import Draw
from heldout.pictures import COLUMNS, DRAWN, NEAREST, sheet
from heldout.predictions import Predictions
from heldout.scoring import CLASSIFICATION, RECOMMENDATION, TRANSLATION, WRITTEN
from heldout.tasks.drawn import Criticise, RealImages
from heldout.translations import sentence_chrf

Predictor = Callable[[Split], Predictions]
# tokens of a translation of each example of a split, without separators
Translator = Callable[[Split], list[list[int]]]


def predictor(outputs: Callable[[Split], np.ndarray], card: Card, translate: Translator | None = None) -> Predictor:
    """Predictions of a split, from a model that gives probabilities float32 [examples, classes], or float64 [examples]:
    in the unit of the target, or of texts their losses in nats. translate: of a model whose task it is."""

    table = TokenTable.of(card) if card.task in WRITTEN else None

    def predict(split: Split) -> Predictions:
        found = outputs(split)
        if card.task == CLASSIFICATION:
            return Predictions(split.ids, split.target, found)
        if table is not None:
            columns = {"loss": found, **table.sums(next_tokens(split.inputs))}
            if card.task != TRANSLATION:
                return Predictions(split.ids, columns=columns)
            assert translate is not None
            texts = _texts(split, card, translate)
            columns["chrf"] = sentence_chrf(texts["hypothesis"].tolist(), texts["reference"].tolist())
            return Predictions(split.ids, columns=columns, texts=texts)
        columns = {"prediction": found}
        if card.task == RECOMMENDATION:
            columns["user"] = split.inputs["categorical"][:, 0].astype(np.float64)
        return Predictions(split.ids, split.target, columns=columns, reference=card.target["mean"])

    return predict


def _texts(split: Split, card: Card, translate: Translator) -> dict[str, np.ndarray]:
    tokenizer = load_tokenizer(card.tokenizer)
    source, reference = side_texts(split.inputs, tokenizer)
    texts = {"source": source, "reference": reference, "hypothesis": tokenizer.decode_batch(translate(split))}
    return {name: np.array(of, dtype=object) for name, of in texts.items()}


def baseline_predictor(baseline: Baseline, card: Card, real: RealImages | None) -> Predictor:
    """The same for a baseline; real: beside which drawn images are measured, where it draws."""
    if real is not None:
        return drawing_predictor(drawn_by(baseline, card), real)
    return predictor(lambda split: baseline.predict(split.inputs), card, lambda split: baseline.translate(split.inputs))


def drawn_by(baseline: Baseline, card: Card) -> Draw:
    """The images of a baseline by their seeds."""
    return lambda seeds: baseline.draw(seeds, card.input_shape)


def drawing_predictor(draw: Draw, real: RealImages, critic: Criticise | None = None) -> Predictor:
    """What is measured of the images that a model draws beside the examples of a split."""
    return lambda split: Predictions(split.ids, columns=real.measured(split, draw, critic))


def pictures_of(draw: Draw, real: RealImages, task: TaskConfig) -> dict[str, bytes]:
    """Pictures by the name of their file: drawn images, and those that lie closest to train."""
    if not isinstance(task, GenerateConfig) or task.pictures == 0:
        return {}
    drawn = draw(np.arange(task.pictures))
    nearest, distance = real.nearest_in_train(drawn)
    closest = np.argsort(distance, kind="stable")[:COLUMNS]
    return {
        DRAWN: sheet(drawn, COLUMNS),
        NEAREST: sheet(np.concatenate([drawn[closest], nearest[closest]]), len(closest)),
    }
