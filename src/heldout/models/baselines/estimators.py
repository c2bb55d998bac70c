"""The scikit-learn estimator of each baseline; imports of scikit-learn take seconds and stay inside."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from heldout.config.model import (
    HistGradientBoostingConfig,
    KNNConfig,
    LogisticConfig,
    MajorityConfig,
    ModelConfig,
    RandomForestConfig,
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


def logistic(config: LogisticConfig, card: Card, seed: int) -> Any:
    """Multinomial logistic regression with an L2 penalty."""
    from sklearn.linear_model import LogisticRegression

    return _on_numbers(card, LogisticRegression(C=config.C, max_iter=config.max_iter, random_state=seed))


def knn(config: KNNConfig, card: Card, seed: int) -> Any:
    """Votes of the nearest neighbours in Euclidean distance, by brute force: fast for dozens of features."""
    from sklearn.neighbors import KNeighborsClassifier

    examples = card.counts["train"]
    if config.neighbors > examples:
        raise UnsuitableModel(
            f"model.neighbors={config.neighbors}: {card.name} has {examples} training examples; "
            "expected at most as many neighbours"
        )
    return _on_numbers(card, KNeighborsClassifier(config.neighbors, algorithm="brute"))


def random_forest(config: RandomForestConfig, card: Card, seed: int) -> Any:
    """Breiman's forest of fully grown trees; trees send missing values to the side that fits better."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(config.trees, max_depth=config.max_depth, n_jobs=_threads(), random_state=seed)


def hist_gradient_boosting(config: HistGradientBoostingConfig, card: Card, seed: int) -> Any:
    """Gradient boosting on binned features; a categorical column is split by sets of its categories."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    numeric = len(card.numeric_columns)
    categorical = [
        numeric + index
        for index, column in enumerate(card.categorical_columns)
        if len(column["categories"]) < _MAX_CATEGORIES
    ]
    return HistGradientBoostingClassifier(
        max_iter=config.iterations,
        learning_rate=config.learning_rate,
        categorical_features=categorical or None,
        # else it would put aside a part of train, from 10,000 examples on
        early_stopping=False,
        random_state=seed,
    )


ESTIMATORS: dict[type[ModelConfig], Callable[[Any, Card, int], Any]] = {
    MajorityConfig: majority,
    LogisticConfig: logistic,
    KNNConfig: knn,
    RandomForestConfig: random_forest,
    HistGradientBoostingConfig: hist_gradient_boosting,
}


def _on_numbers(card: Card, classifier: Any) -> Any:
    """The classifier behind what makes its features comparable; images and series are standardised already.

    Of texts, counts of tokens become tf-idf: 1 + log(count), times how rare the token is in train, of unit length.
    """
    if card.modality == "text":
        from sklearn.pipeline import make_pipeline

        from heldout.models.baselines.dense_tfidf import DenseTfidf

        return make_pipeline(DenseTfidf(sublinear_tf=True), classifier)
    if card.modality != "table":
        return classifier
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numeric = len(card.numeric_columns)
    columns = list(range(numeric + len(card.categorical_columns)))
    scale = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    encode = OneHotEncoder(handle_unknown="ignore")
    steps = [("numeric", scale, columns[:numeric]), ("categorical", encode, columns[numeric:])]
    return make_pipeline(ColumnTransformer([step for step in steps if step[2]]), classifier)


def _threads() -> int:
    """As OpenMP takes them, so that one variable limits every model; else the cores this process may use."""
    from joblib import cpu_count  # type: ignore[import-untyped]

    # a list gives the threads of nested levels
    outer = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(outer or cpu_count())
