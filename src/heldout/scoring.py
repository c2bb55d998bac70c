"""How each task is scored: the one table that records, training, analysis, reports and config checks read.

A task is added by a line in SCORINGS. Its predictions then have the columns named there, its history the measures,
and everything else follows. A task whose loss no formula gives, such as the likelihood of a text, writes the loss of
each example as a column of its own and reads it back with `column("loss")`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from heldout.predictions import Predictions

CLASSIFICATION = "classification"
REGRESSION = "regression"
RECOMMENDATION = "recommendation"
LANGUAGE = "language"
TRANSLATION = "translation"
GENERATION = "generation"
# what is written token by token
WRITTEN = (LANGUAGE, TRANSLATION)
# whose target is a number
MEASURED = (REGRESSION, RECOMMENDATION)


@dataclass(frozen=True)
class Measure:
    """A mean over examples, or a function of one.

    name: in history, MLflow and config. label: in sentences and on axes. of_examples: float64 [n]. of_mean: from their
    mean to the value. each_epoch: whether it is measured after each epoch, so that epochs can be chosen by it.
    """

    name: str
    label: str
    of_examples: Callable[[Predictions], np.ndarray]
    higher_is_better: bool = False
    of_mean: Callable[[float], float] = float
    each_epoch: bool = True

    def __call__(self, predictions: Predictions) -> float | None:
        """The value over a split; None where it is measured of no example."""
        values = self.of_examples(predictions)
        return self.of_mean(float(values.mean())) if len(values) else None


@dataclass(frozen=True)
class CorpusMeasure(Measure):
    """A measure of all examples together, which is no mean over them: BLEU, say, of a translated text.

    of_all: its value. of_examples is not asked.
    """

    # it takes the time of them all
    each_epoch: bool = False
    of_all: Callable[[Predictions], float] = lambda _: 0.0

    def __call__(self, predictions: Predictions) -> float | None:
        """The value over a split; None of no example."""
        return self.of_all(predictions) if len(predictions.ids) else None


@dataclass(frozen=True)
class Scoring:
    """The measures of a task.

    columns: numbers of predictions, beside `split` and `id`; optional: those that only some models have. texts: columns
    of words. score: what people are shown and what gap, verdict and ranking are made of; the more the better, 1 is
    perfect, and it is a mean over examples. loss: its curves give the onset; at least 0, and the less the better.
    others: reported beside them. is_share: whether the score counts right answers, which have intervals of their own;
    any other score is 0 for what knows nothing. ceiling_is_known: whether a good model is expected to come near 1; the
    noise of a measured number sets a limit that nobody knows. draws: whether a model draws examples instead of
    predicting something of them: its others are means over examples too, and copies of train count against it, not its
    gap. chance: in words, what reaches the level of chance.
    """

    task: str
    columns: tuple[str, ...]
    score: Measure
    loss: Measure
    others: tuple[Measure, ...] = ()
    texts: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    is_share: bool = False
    ceiling_is_known: bool = True
    draws: bool = False
    chance: str = "Guessing"

    @property
    def measures(self) -> tuple[Measure, ...]:
        """All of them, in the order of the history: loss, score, others."""
        return (self.loss, self.score, *self.others)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(measure.name for measure in self.measures)

    def measure(self, name: str) -> Measure:
        """The measure of that name; raises KeyError when the task has none."""
        return {measure.name: measure for measure in self.measures}[name]

    def of(self, predictions: Predictions) -> dict[str, float]:
        """Every measure of a split, by name; without those of which there is no example."""
        return _known({measure.name: measure(predictions) for measure in self.measures})

    def others_of(self, predictions: Predictions) -> dict[str, float]:
        """What is reported beside score and loss, by name."""
        return _known({measure.name: measure(predictions) for measure in self.others})


def _known(values: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}


def scoring_of(task: str | None) -> Scoring:
    """The scoring of a task; raises KeyError for one that is unknown. None, as in early records, is classification."""
    return SCORINGS[task or CLASSIFICATION]


def correct(predictions: Predictions) -> np.ndarray:
    """1.0 where the most probable class is the target, else 0.0; float64 [n]. Its mean is the accuracy."""
    import numpy as np

    return np.asarray(predictions.probabilities.argmax(axis=1) == predictions.target, dtype=np.float64)


def log_loss(predictions: Predictions) -> np.ndarray:
    """Negative natural logarithm of the probability of the target; float64 [n], in nats.

    A probability of 0 counts as the smallest float32 step from 0 to 1, as scikit-learn's `log_loss` does: one sure
    mistake, as classical models make them, does not make the loss infinite; it is 15.9 at most.
    """
    import numpy as np

    of_target = predictions.probabilities[np.arange(len(predictions.target)), predictions.target]
    return np.asarray(-np.log(np.clip(of_target.astype(np.float64), np.finfo(np.float32).eps, 1.0)))


def squared_error(predictions: Predictions) -> np.ndarray:
    """(prediction - target)², float64 [n], in the unit of the target squared."""
    import numpy as np

    return np.asarray((predictions.columns["prediction"] - predictions.target) ** 2)


def absolute_error(predictions: Predictions) -> np.ndarray:
    """|prediction - target|, float64 [n], in the unit of the target."""
    import numpy as np

    return np.asarray(np.abs(predictions.columns["prediction"] - predictions.target))


def explained(predictions: Predictions) -> np.ndarray:
    """1 - squared error / mean squared error of always saying train's mean; float64 [n]. Its mean is R².

    This is R² out of sample (Campbell and Thompson 2008, equation 1): 0 for the mean of train, whatever the split, and
    below 0 for what does worse. Where all targets of the split are that mean, nothing can be explained: 0.
    """
    import numpy as np

    reference = float(predictions.target.mean()) if predictions.reference is None else predictions.reference
    of_mean = float(((predictions.target - reference) ** 2).mean())
    if of_mean == 0:
        return np.zeros(len(predictions.target))
    return np.asarray(1 - squared_error(predictions) / of_mean)


def _ndcg(predictions: Predictions) -> np.ndarray:
    from heldout import ranking

    return ranking.ndcg(predictions)


def _recall(predictions: Predictions) -> np.ndarray:
    from heldout import ranking

    return ranking.recall(predictions)


def context_explained(predictions: Predictions) -> np.ndarray:
    """1 - loss / mean loss of the frequencies of tokens in train; float64 [n]. Its mean is McFadden's pseudo-R².

    McFadden 1974: 1 - ln L / ln L0, where L0 is the likelihood of a model without inputs. 0 for what knows nothing
    of the context, 1 for what is sure of every token.
    """
    import numpy as np

    return np.asarray(1 - predictions.columns["loss"] / predictions.columns["unigram"].mean())


def corpus_of(name: str) -> Callable[[Predictions], float]:
    """The corpus score of heldout.translations by that name."""

    def of_all(predictions: Predictions) -> float:
        from heldout.translations import corpus_score

        texts = predictions.texts
        return corpus_score(name, texts["hypothesis"].tolist(), texts["reference"].tolist())

    return of_all


def per(of: str, unit: float = 1.0) -> Callable[[Predictions], np.ndarray]:
    """Of each example its loss in `unit` nats, over the mean number of tokens or bytes of an example."""
    return lambda predictions: predictions.columns["loss"] / (unit * predictions.columns[of].mean())


def column(name: str) -> Callable[[Predictions], np.ndarray]:
    """Of each example what stands in the column of that name."""
    return lambda predictions: predictions.columns[name]


def optional_column(name: str) -> Callable[[Predictions], np.ndarray]:
    """The same; of no example where a model does not have the column."""
    return lambda predictions: predictions.columns.get(name, predictions.ids[:0])


def likeness(predictions: Predictions) -> np.ndarray:
    """1 - share in the kernel distance / kernel distance of images drawn pixel by pixel; float64 [n].

    0 for what knows only the values of each pixel, 1 for what draws as the data are distributed.
    """
    import numpy as np

    return np.asarray(1 - predictions.columns["distance"] / predictions.columns["reference"].mean())


_R2 = Measure("r2", "R²", explained, higher_is_better=True)
_SQUARED_ERROR = Measure("loss", "loss (mean squared error)", squared_error)
_ERRORS = (
    Measure("rmse", "root mean squared error", squared_error, of_mean=math.sqrt),
    Measure("mae", "mean absolute error", absolute_error),
)

SCORINGS: dict[str, Scoring] = {
    scoring.task: scoring
    for scoring in (
        Scoring(
            CLASSIFICATION,
            columns=("target", "probabilities"),
            score=Measure("accuracy", "accuracy", correct, higher_is_better=True),
            loss=Measure("loss", "loss (log loss, nats)", log_loss),
            is_share=True,
        ),
        Scoring(
            REGRESSION,
            columns=("target", "prediction"),
            score=_R2,
            loss=_SQUARED_ERROR,
            others=_ERRORS,
            ceiling_is_known=False,
            chance="Always saying the mean of train",
        ),
        Scoring(
            RECOMMENDATION,
            columns=("target", "prediction", "user"),
            score=_R2,
            loss=_SQUARED_ERROR,
            others=(
                *_ERRORS,
                Measure("ndcg_10", "NDCG@10", _ndcg, higher_is_better=True),
                Measure("recall_10", "recall@10", _recall, higher_is_better=True),
            ),
            ceiling_is_known=False,
            chance="Always saying the mean of train",
        ),
        Scoring(
            LANGUAGE,
            # sums over the tokens of an example: how many, their bytes, and what they cost the model, and frequencies
            columns=("tokens", "bytes", "loss", "unigram"),
            score=Measure("pseudo_r2", "pseudo-R²", context_explained, higher_is_better=True),
            loss=Measure("loss", "loss (nats a token)", per("tokens")),
            others=(
                Measure("bits_per_byte", "bits a byte", per("bytes", math.log(2))),
                Measure("perplexity", "perplexity", per("tokens"), of_mean=math.exp),
            ),
            ceiling_is_known=False,
            chance="Predicting each token by its frequency in train",
        ),
        Scoring(
            TRANSLATION,
            # of a translation how many tokens are predicted and what they cost the model, and how near the one that it
            # writes by itself comes to the given one
            columns=("tokens", "loss", "chrf"),
            texts=("source", "reference", "hypothesis"),
            score=Measure("chrf", "chrF", column("chrf"), higher_is_better=True),
            loss=Measure("loss", "loss (nats a token)", per("tokens")),
            others=(
                Measure("perplexity", "perplexity", per("tokens"), of_mean=math.exp),
                *(
                    CorpusMeasure(name, label, column("chrf"), higher_is_better=True, of_all=corpus_of(name))
                    for name, label in (("bleu", "BLEU"), ("corpus_chrf", "chrF of the corpus"))
                ),
            ),
            ceiling_is_known=False,
            chance="Writing nothing",
        ),
        Scoring(
            GENERATION,
            # of a real example and of the images that are drawn beside it; see heldout.tasks.drawn
            columns=(
                "distance",
                "reference",
                "precision",
                "recall",
                "recall_of_real",
                "closer",
                "copied",
            ),
            optional=("critic",),
            score=Measure("likeness", "likeness", likeness, higher_is_better=True),
            loss=Measure("loss", "loss (kernel distance)", column("distance")),
            others=(
                Measure("precision", "precision", column("precision"), higher_is_better=True),
                Measure("recall", "recall", column("recall"), higher_is_better=True),
                Measure("recall_of_real", "recall of real images", column("recall_of_real"), higher_is_better=True),
                Measure("closer", "closer to train", column("closer")),
                Measure("copied", "copied", column("copied")),
                Measure("critic", "critic", optional_column("critic")),
            ),
            draws=True,
            chance="Drawing each pixel by itself",
        ),
    )
}
