"""A classical model that reads the same inputs and gives the same predictions as a network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heldout.config.model import ModelConfig
from heldout.data.tokens import SEPARATOR
from heldout.models.baselines.estimators import ESTIMATORS
from heldout.models.baselines.features import Features, Inputs
from heldout.models.baselines.persistence import read, write
from heldout.models.errors import UnfittableData, UnsuitableModel
from heldout.models.registry import require_readable

if TYPE_CHECKING:
    from heldout.data.card import Card


class Baseline:
    """A scikit-learn classifier of the classes of a card or, with no `classes`, a regressor."""

    def __init__(self, estimator: Any, features: Features, classes: int) -> None:
        self.estimator = estimator
        self.features = features
        self.classes = classes

    def fit(self, inputs: Inputs, target: np.ndarray) -> None:
        """Fit to inputs by name, each `[examples, ...]`, and class indices or numbers `[examples]`.

        Raises UnfittableData when all examples are of one class.
        """
        if self.classes and len(np.unique(target)) < 2:
            raise UnfittableData(
                f"the {len(target)} training examples are all of one class; expected at least two classes to tell apart"
            )
        x = self.features(inputs)
        # a column without any value teaches nothing, and boosting cannot bin it
        x[:, np.isnan(x).all(axis=0)] = 0
        self.estimator.fit(x, target)

    def predict(self, inputs: Inputs) -> np.ndarray:
        """Class probabilities float32 `[examples, classes]`, or numbers float64 `[examples]`, of texts their losses."""
        if self.classes:
            return self.predict_proba(inputs)
        return np.asarray(self.estimator.predict(self.features(inputs)), dtype=np.float64)

    def translate(self, inputs: Inputs) -> list[list[int]]:
        """The tokens of a translation of each text, without separators."""
        found = self.estimator.translate(self.features(inputs))
        return [[token for token in row if token > SEPARATOR] for row in found.tolist()]

    def predict_proba(self, inputs: Inputs) -> np.ndarray:
        """Float32 `[examples, classes]`; a class that was absent while fitting has probability 0."""
        known = self.estimator.predict_proba(self.features(inputs))
        probabilities = np.zeros((len(known), self.classes), dtype=np.float32)
        probabilities[:, self.estimator.classes_] = known
        return probabilities

    def draw(self, seeds: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Images uint8 `[n, *shape]`, one for each seed; of a model that draws."""
        return self.features.as_images(self.estimator.draw(seeds), shape)

    def parameters(self) -> int | None:
        """Fitted coefficients of a linear model; None for a model that has no such count."""
        classifier = self.estimator[-1] if hasattr(self.estimator, "steps") else self.estimator
        if not hasattr(classifier, "coef_"):
            return None
        return int(classifier.coef_.size + classifier.intercept_.size)

    def save(self, path: Path) -> None:
        """Write the fitted model in the skops format; the file is there complete or not at all."""
        write({"estimator": self.estimator, "features": asdict(self.features), "classes": self.classes}, path)


def build(config: ModelConfig, card: Card, seed: int) -> Baseline:
    """Build the unfitted baseline that `config` describes; `seed` is its source of randomness.

    Raises UnsuitableModel when the family is no baseline, or cannot read these data.
    """
    require_readable(config, card)
    if type(config) not in ESTIMATORS:
        known = ", ".join(sorted(c.family for c in ESTIMATORS))
        raise UnsuitableModel(f"model.family={config.family}: expected a baseline, one of {known}")
    estimator = ESTIMATORS[type(config)](config, card, seed)
    return Baseline(estimator, Features.of(card), len(card.classes))


def load(path: Path) -> Baseline:
    """Read what `Baseline.save` wrote.

    Raises UnreadableModelFile when the file is absent, damaged, holds a type that is not on the list of trusted
    ones, or trees that point outside of themselves.
    """
    content = read(path)
    return Baseline(content["estimator"], Features(**content["features"]), content["classes"])
