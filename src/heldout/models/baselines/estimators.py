"""The scikit-learn estimator of each baseline; imports of scikit-learn take seconds and stay inside."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from heldout.config.model import (
    CopySourceConfig,
    GaussianConfig,
    GaussianMixtureConfig,
    HARConfig,
    HistGradientBoostingConfig,
    IndependentPixelsConfig,
    KernelDensityConfig,
    KNNConfig,
    LogisticConfig,
    MajorityConfig,
    MeanConfig,
    ModelConfig,
    NaiveConfig,
    NGramConfig,
    RandomForestConfig,
    RidgeConfig,
    TranslationMemoryConfig,
)
from heldout.models.errors import UnsuitableModel

if TYPE_CHECKING:
    from heldout.data.card import Card

# categories that histogram gradient boosting can tell apart, code 0 among them
_MAX_CATEGORIES = 255


def majority(config: MajorityConfig, card: Card, seed: int) -> Any:
    """The class frequencies of train for every example."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior")


def mean(config: MeanConfig, card: Card, seed: int) -> Any:
    """The mean of train for every example."""
    from sklearn.dummy import DummyRegressor

    return DummyRegressor(strategy="mean")


def ridge(config: RidgeConfig, card: Card, seed: int) -> Any:
    """Linear regression with an L2 penalty (Hoerl and Kennard 1970)."""
    from sklearn.linear_model import Ridge

    return _on_numbers(card, Ridge(alpha=config.alpha))


def naive(config: NaiveConfig, card: Card, seed: int) -> Any:
    """The last value of a channel, as the forecast of the next."""
    from heldout.models.baselines.forecasts import LastValue

    steps = _channel_steps(card, config.channel, 1)
    moments = card.statistics["x"]
    return LastValue((config.channel + 1) * steps - 1, moments["mean"][config.channel], moments["std"][config.channel])


def har(config: HARConfig, card: Card, seed: int) -> Any:
    """Linear regression on the means of a channel over a day, a week and a month (Corsi 2009)."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    from heldout.models.baselines.forecasts import PastMeans

    steps = _channel_steps(card, config.channel, max(config.spans))
    means = PastMeans((config.channel + 1) * steps, list(config.spans))
    return make_pipeline(means, Ridge(alpha=config.alpha))


def ngram(config: NGramConfig, card: Card, seed: int) -> Any:
    """Interpolated Kneser-Ney (Chen and Goodman 1999)."""
    from heldout.models.baselines.ngram import NGram

    return NGram(config.order, card.vocabulary)


def copy_source(config: CopySourceConfig, card: Card, seed: int) -> Any:
    """The text as its own translation."""
    from heldout.models.baselines.memory import CopySource

    return CopySource(card.inputs["source"]["shape"][0], card.vocabulary)


def translation_memory(config: TranslationMemoryConfig, card: Card, seed: int) -> Any:
    """The translation of the nearest text of train."""
    from heldout.models.baselines.memory import TranslationMemory

    return TranslationMemory(card.inputs["source"]["shape"][0], card.vocabulary, config.longest_run)


def gaussian(config: GaussianConfig, card: Card, seed: int) -> Any:
    """A multivariate normal distribution."""
    from heldout.models.baselines.generators import GaussianMixture

    return GaussianMixture(1, config.regularisation, seed)


def gaussian_mixture(config: GaussianMixtureConfig, card: Card, seed: int) -> Any:
    """A mixture of multivariate normal distributions."""
    from heldout.models.baselines.generators import GaussianMixture

    return GaussianMixture(config.components, config.regularisation, seed)


def kernel_density(config: KernelDensityConfig, card: Card, seed: int) -> Any:
    """A normal kernel around each image."""
    from heldout.models.baselines.generators import KernelDensity

    return KernelDensity(config.bandwidth)


def independent_pixels(config: IndependentPixelsConfig, card: Card, seed: int) -> Any:
    """The product of the distributions of single pixels."""
    from heldout.models.baselines.generators import IndependentPixels

    return IndependentPixels()


def logistic(config: LogisticConfig, card: Card, seed: int) -> Any:
    """Multinomial logistic regression with an L2 penalty."""
    from sklearn.linear_model import LogisticRegression

    return _on_numbers(card, LogisticRegression(C=config.C, max_iter=config.max_iter, random_state=seed))


def knn(config: KNNConfig, card: Card, seed: int) -> Any:
    """Votes, or mean, of the nearest neighbours in Euclidean distance; by brute force: fast for dozens of features."""
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    examples = card.counts["train"]
    if config.neighbors > examples:
        raise UnsuitableModel(
            f"model.neighbors={config.neighbors}: {card.name} has {examples} training examples; "
            "expected at most as many neighbours"
        )
    kind = KNeighborsClassifier if card.classes else KNeighborsRegressor
    return _on_numbers(card, kind(config.neighbors, algorithm="brute"))


def random_forest(config: RandomForestConfig, card: Card, seed: int) -> Any:
    """Breiman's forest of fully grown trees; trees send missing values to the side that fits better."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestClassifier if card.classes else RandomForestRegressor
    return kind(config.trees, max_depth=config.max_depth, n_jobs=_threads(), random_state=seed)


def hist_gradient_boosting(config: HistGradientBoostingConfig, card: Card, seed: int) -> Any:
    """Gradient boosting on binned features; a categorical column is split by sets of its categories."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    numeric = len(card.numeric_columns)
    categorical = [
        numeric + index
        for index, column in enumerate(card.categorical_columns)
        if len(column["categories"]) < _MAX_CATEGORIES
    ]
    kind = HistGradientBoostingClassifier if card.classes else HistGradientBoostingRegressor
    return kind(
        max_iter=config.iterations,
        learning_rate=config.learning_rate,
        categorical_features=categorical or None,
        # else it would put aside a part of train, from 10,000 examples on
        early_stopping=False,
        random_state=seed,
    )


ESTIMATORS: dict[type[ModelConfig], Callable[[Any, Card, int], Any]] = {
    MajorityConfig: majority,
    MeanConfig: mean,
    RidgeConfig: ridge,
    NaiveConfig: naive,
    HARConfig: har,
    NGramConfig: ngram,
    CopySourceConfig: copy_source,
    TranslationMemoryConfig: translation_memory,
    GaussianConfig: gaussian,
    GaussianMixtureConfig: gaussian_mixture,
    KernelDensityConfig: kernel_density,
    IndependentPixelsConfig: independent_pixels,
    LogisticConfig: logistic,
    KNNConfig: knn,
    RandomForestConfig: random_forest,
    HistGradientBoostingConfig: hist_gradient_boosting,
}


def _on_numbers(card: Card, model: Any) -> Any:
    """The model behind what makes its features comparable; images and series are standardised already.

    Of texts, counts of tokens become tf-idf: 1 + log(count), times how rare the token is in train, of unit length.
    """
    if card.modality == "text":
        from sklearn.pipeline import make_pipeline

        from heldout.models.baselines.dense_tfidf import DenseTfidf

        return make_pipeline(DenseTfidf(sublinear_tf=True), model)
    if card.modality not in ("table", "interactions"):
        return model
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numeric = len(card.numeric_columns)
    columns = list(range(numeric + len(card.categorical_columns)))
    scale = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    encode = OneHotEncoder(handle_unknown="ignore")
    steps = [("numeric", scale, columns[:numeric]), ("categorical", encode, columns[numeric:])]
    return make_pipeline(ColumnTransformer([step for step in steps if step[2]]), model)


def _channel_steps(card: Card, channel: int, needed: int) -> int:
    """Steps of a series; raises UnsuitableModel where it lacks the channel, or so many steps at the same place."""
    channels, steps = card.inputs["x"]["shape"]
    if "length" in card.inputs:
        raise UnsuitableModel(
            f"{card.name} has series of unequal length; expected windows of equal length to forecast the next step"
        )
    if channel >= channels:
        raise UnsuitableModel(
            f"model.channel={channel}: the series of {card.name} have {channels} channels; expected 0 to {channels - 1}"
        )
    if needed > steps:
        raise UnsuitableModel(
            f"model.spans with {needed}: the series of {card.name} have {steps} steps; expected no longer span"
        )
    return int(steps)


def _threads() -> int:
    """As OpenMP takes them, so that one variable limits every model; else the cores this process may use."""
    from joblib import cpu_count  # type: ignore[import-untyped]

    # a list gives the threads of nested levels
    outer = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(outer or cpu_count())
