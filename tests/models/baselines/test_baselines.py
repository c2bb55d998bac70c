"""What every baseline promises on every kind of data, and planted truths for the single ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from tests.models.examples import CLASSES, EXAMPLES, KINDS, Example, image, series, table, with_numbers

from heldout.config.data import TaskKind
from heldout.config.model import (
    CNNConfig,
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
from heldout.models import baselines
from heldout.models.baselines.estimators import ESTIMATORS
from heldout.models.baselines.features import Features
from heldout.models.errors import UnfittableData, UnsuitableModel
from heldout.scoring import WRITTEN

MADE = {name: make() for name, make in KINDS.items()}
OF_CLASSES = {name: example for name, example in MADE.items() if example.card.classes}
# small, for the sake of time
CONFIGS: list[ModelConfig] = [
    MajorityConfig(),
    LogisticConfig(),
    KNNConfig(neighbors=3),
    RandomForestConfig(trees=5),
    HistGradientBoostingConfig(iterations=3),
]

REGRESSORS: list[ModelConfig] = [
    MeanConfig(),
    RidgeConfig(),
    NaiveConfig(),
    HARConfig(spans=[1, 2]),
    *(config for config in CONFIGS if TaskKind.regression in type(config).solves),
]

GENERATORS: list[ModelConfig] = [
    GaussianConfig(),
    GaussianMixtureConfig(components=2),
    KernelDensityConfig(),
    IndependentPixelsConfig(),
]

every_config = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: str(config.family))
every_number = pytest.mark.parametrize(
    ("config", "example"),
    [
        pytest.param(config, example, id=f"{config.family}-{name}")
        for config in REGRESSORS
        for name, example in MADE.items()
        if example.card.modality in {modality.value for modality in config.accepts}
        and example.card.task not in (*WRITTEN, "generation")
        and not (isinstance(config, NaiveConfig | HARConfig) and "length" in example.inputs)
    ],
)
every_kind = pytest.mark.parametrize("example", OF_CLASSES.values(), ids=OF_CLASSES.keys())


def fitted(config: ModelConfig, example: Example, seed: int = 0) -> baselines.Baseline:
    model = baselines.build(config, example.card, seed)
    model.fit(example.inputs, example.target)
    return model


def test_all_baselines_are_tested() -> None:
    written = [NGramConfig(), CopySourceConfig(), TranslationMemoryConfig()]
    assert {type(config) for config in [*CONFIGS, *REGRESSORS, *GENERATORS, *written]} == set(ESTIMATORS)


@every_number
def test_gives_numbers_that_a_file_brings_back(config: ModelConfig, example: Example, tmp_path: Path) -> None:
    numbers = with_numbers(example) if example.card.classes else example
    model = fitted(config, numbers)
    found = model.predict(numbers.inputs)
    assert found.shape == (EXAMPLES,)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    model.save(tmp_path / "model.skops")
    np.testing.assert_array_equal(baselines.load(tmp_path / "model.skops").predict(numbers.inputs), found)


@pytest.mark.parametrize("config", GENERATORS, ids=lambda config: str(config.family))
@pytest.mark.parametrize("kind", ["image to be drawn", "odd colour image to be drawn", "one-pixel image to be drawn"])
def test_draws_by_the_seed_what_a_file_brings_back(config: ModelConfig, kind: str, tmp_path: Path) -> None:
    example = MADE[kind]
    model = fitted(config, example)
    seeds = np.arange(5)
    images = model.draw(seeds, example.card.input_shape)
    assert images.shape == (5, *example.card.input_shape)
    assert images.dtype == np.uint8
    assert len(np.unique(images, axis=0)) > 1
    np.testing.assert_array_equal(model.draw(seeds[3:4], example.card.input_shape)[0], images[3])
    model.save(tmp_path / "model.skops")
    again = baselines.load(tmp_path / "model.skops").draw(seeds, example.card.input_shape)
    np.testing.assert_array_equal(again, images)


@pytest.mark.parametrize(
    ("config", "covariance"),
    [
        (GaussianConfig(regularisation=1e-6), True),
        (GaussianMixtureConfig(components=2, regularisation=1e-6), True),
        (KernelDensityConfig(bandwidth=0.0), True),
        (IndependentPixelsConfig(), False),
    ],
    ids=lambda value: str(getattr(value, "family", value)),
)
def test_what_is_drawn_has_the_moments_of_train(config: ModelConfig, covariance: bool) -> None:
    """Two kinds of images of two pixels that go together (seed 0); independent pixels do not know that they do."""
    rng = np.random.default_rng(0)
    both = np.repeat(rng.choice([80.0, 170.0], size=(1500, 1)), 2, axis=1) + rng.normal(0, 12, (1500, 2))
    x = both.round().astype(np.uint8).reshape(-1, 1, 1, 2)
    example = MADE["image to be drawn"]
    statistics = {"x": {"mean": [float(x.mean() / 255)], "std": [float(x.std() / 255)]}}
    card = replace(example.card, inputs={"x": {"dtype": "uint8", "shape": [1, 1, 2]}}, statistics=statistics)
    model = baselines.build(config, card, 0)
    model.fit({"x": x}, np.zeros(len(x)))
    drawn = model.draw(np.arange(4000), (1, 1, 2)).reshape(-1, 2).astype(float)
    np.testing.assert_allclose(drawn.mean(axis=0), both.mean(axis=0), atol=3)
    np.testing.assert_allclose(drawn.std(axis=0), both.std(axis=0), rtol=0.05)
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(np.corrcoef(both.T)[0, 1] if covariance else 0, abs=0.05)


@pytest.mark.parametrize("config", [LogisticConfig(), MajorityConfig()])
def test_a_classifier_predicts_no_numbers(config: ModelConfig) -> None:
    with pytest.raises(UnsuitableModel, match="this family solves classification, and example is a regression"):
        baselines.build(config, with_numbers(series(2, 17)).card, 0)


def test_naive_says_the_last_value_of_its_channel() -> None:
    numbers = with_numbers(series(2, 17))
    for channel in (0, 1):
        found = fitted(NaiveConfig(channel=channel), numbers).predict(numbers.inputs)
        np.testing.assert_allclose(found, numbers.inputs["x"][:, channel, -1], rtol=1e-5)


def test_har_finds_planted_weights() -> None:
    """y = 1 + 0.5 a + 0.3 b of the means a over a step and b over 5 of the second channel (seed 0)."""
    rng = np.random.default_rng(0)
    example = with_numbers(series(2, 17))
    x = rng.normal(size=(400, 2, 17)).astype(np.float32)
    past = x[:, 1]
    target = 1 + 0.5 * past[:, -1] + 0.3 * past[:, -5:].mean(axis=1)
    model = baselines.build(HARConfig(channel=1, spans=[1, 5]), example.card, 0)
    model.fit({"x": x}, target)
    np.testing.assert_allclose(model.predict({"x": x}), target, atol=1e-3)
    assert model.parameters() == 3


@pytest.mark.parametrize(
    ("config", "example", "message"),
    [
        (NaiveConfig(channel=2), series(2, 17), "model.channel=2: the series of example have 2 channels"),
        (HARConfig(), series(2, 17), "model.spans with 22: the series of example have 17 steps"),
        (NaiveConfig(), series(2, 12, unequal=True), "series of unequal length"),
    ],
)
def test_a_forecast_that_cannot_be_made_is_refused(config: ModelConfig, example: Example, message: str) -> None:
    with pytest.raises(UnsuitableModel, match=message):
        baselines.build(config, with_numbers(example).card, 0)


def test_the_mean_of_train_is_what_it_says() -> None:
    numbers = with_numbers(series(2, 17))
    np.testing.assert_allclose(fitted(MeanConfig(), numbers).predict(numbers.inputs), numbers.target.mean())


def test_ridge_finds_planted_coefficients() -> None:
    """1,000 rows of two standardised columns, y = 5 + 2 a - b + noise (seed 0)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1_000, 2)).astype(np.float32)
    card = with_numbers(table(2, 0)).card
    model = baselines.build(RidgeConfig(alpha=1e-3), card, 0)
    model.fit({"numeric": x}, 5 + 2 * x[:, 0] - x[:, 1] + rng.normal(0, 0.1, 1_000))
    np.testing.assert_allclose(model.estimator[-1].coef_, [2, -1], atol=0.1)
    assert model.parameters() == 3


@every_config
@every_kind
def test_gives_a_distribution_over_the_classes_of_the_card(config: ModelConfig, example: Example) -> None:
    probabilities = fitted(config, example).predict_proba(example.inputs)
    assert probabilities.shape == (EXAMPLES, len(CLASSES))
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@every_config
@every_kind
def test_a_file_brings_back_the_same_model(config: ModelConfig, example: Example, tmp_path: Path) -> None:
    model = fitted(config, example)
    model.save(tmp_path / "model.skops")
    loaded = baselines.load(tmp_path / "model.skops")
    np.testing.assert_array_equal(loaded.predict_proba(example.inputs), model.predict_proba(example.inputs))
    assert loaded.parameters() == model.parameters()


@every_config
def test_a_class_absent_from_train_has_probability_zero(config: ModelConfig) -> None:
    example = series(2, 17)
    two = example.target != 1
    model = baselines.build(config, example.card, 0)
    model.fit({"x": example.inputs["x"][two]}, example.target[two])
    probabilities = model.predict_proba(example.inputs)
    assert probabilities.shape == (EXAMPLES, len(CLASSES))
    assert not probabilities[:, 1].any()


@every_config
def test_one_class_only_is_refused(config: ModelConfig) -> None:
    example = series(2, 17)
    model = baselines.build(config, example.card, 0)
    with pytest.raises(UnfittableData, match="the 24 training examples are all of one class"):
        model.fit(example.inputs, np.zeros(EXAMPLES, dtype=np.int64))


@every_config
def test_padding_has_no_influence(config: ModelConfig) -> None:
    example = series(2, 12, unequal=True)
    padding = np.arange(12) >= example.inputs["length"][:, None, None]
    loud = {**example.inputs, "x": np.where(padding, np.float32(1e6), example.inputs["x"])}
    model = fitted(config, example)
    np.testing.assert_array_equal(model.predict_proba(loud), model.predict_proba(example.inputs))


def test_the_seed_decides_the_forest() -> None:
    example = series(2, 17)
    first, again, other = (
        fitted(RandomForestConfig(trees=3), example, seed).predict_proba(example.inputs) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_majority_gives_the_frequencies_of_train() -> None:
    example = series(2, 17)
    target = np.repeat([0, 1, 2], [12, 8, 4])
    model = baselines.build(MajorityConfig(), example.card, 0)
    model.fit(example.inputs, target)
    np.testing.assert_allclose(model.predict_proba(example.inputs)[0], [1 / 2, 1 / 3, 1 / 6], rtol=1e-6)


def test_logistic_finds_planted_coefficients() -> None:
    """1,000 rows of two standardised columns, logit of class 1 = 2 a - b (seed 0)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1_000, 2)).astype(np.float32)
    target = (rng.uniform(size=1_000) < expit(2 * x[:, 0] - x[:, 1])).astype(np.int64)
    card = replace(table(2, 0).card, classes=["no", "yes"])
    model = baselines.build(LogisticConfig(C=1e3), card, 0)
    model.fit({"numeric": x}, target)
    np.testing.assert_allclose(model.estimator[-1].coef_[0], [2, -1], atol=0.25)
    assert model.parameters() == 3


def test_knn_copies_its_nearest_neighbour() -> None:
    example = image(1, 8, 8)
    probabilities = fitted(KNNConfig(neighbors=1), example).predict_proba(example.inputs)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), example.target)
    np.testing.assert_array_equal(probabilities.max(axis=1), 1)


@pytest.mark.parametrize("family", [RandomForestConfig(trees=20), HistGradientBoostingConfig(iterations=10)])
def test_trees_use_that_a_value_is_missing(family: ModelConfig) -> None:
    """Whether a value is missing is all that tells the classes apart (seed 0)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1)).astype(np.float32)
    target = np.arange(200) % 2
    x[target == 1] = np.nan
    model = baselines.build(family, replace(table(1, 0).card, classes=["there", "missing"]), 0)
    model.fit({"numeric": x}, target)
    np.testing.assert_array_equal(model.predict_proba({"numeric": x}).argmax(axis=1), target)


@every_config
def test_a_column_without_any_value_does_no_harm(config: ModelConfig) -> None:
    example = table(4, 2)
    numeric = example.inputs["numeric"].copy()
    numeric[:, 1] = np.nan
    model = baselines.build(config, example.card, 0)
    model.fit({**example.inputs, "numeric": numeric}, example.target)
    assert np.isfinite(model.predict_proba(example.inputs)).all()


def test_boosting_splits_categories_by_sets() -> None:
    """Class = whether the category is even, which no order of 40 codes shows (seed 0)."""
    rng = np.random.default_rng(0)
    codes = rng.integers(1, 41, (2_000, 1)).astype(np.int32)
    card = table(0, 1).card
    column = {**card.columns[0], "categories": [f"c{i}" for i in range(40)]}
    card = replace(card, classes=["even", "odd"], columns=[column])
    target = (codes[:, 0] % 2).astype(np.int64)
    model = baselines.build(HistGradientBoostingConfig(iterations=2), card, 0)
    model.fit({"categorical": codes}, target)
    np.testing.assert_array_equal(model.predict_proba({"categorical": codes}).argmax(axis=1), target)


def test_boosting_reads_more_categories_than_it_can_tell_apart() -> None:
    codes = np.arange(1, 601, dtype=np.int32)[:, None]
    card = table(0, 1).card
    column = {**card.columns[0], "categories": [f"c{i}" for i in range(600)]}
    card = replace(card, classes=["low", "high"], columns=[column])
    target = (codes[:, 0] > 300).astype(np.int64)
    model = baselines.build(HistGradientBoostingConfig(iterations=20), card, 0)
    model.fit({"categorical": codes}, target)
    assert (model.predict_proba({"categorical": codes}).argmax(axis=1) == target).mean() > 0.95


def test_a_category_first_met_later_is_read() -> None:
    example = table(2, 2)
    model = fitted(LogisticConfig(), example)
    later = {**example.inputs, "categorical": np.zeros((EXAMPLES, 2), dtype=np.int32)}
    assert np.isfinite(model.predict_proba(later)).all()


def test_more_neighbours_than_examples_are_refused() -> None:
    with pytest.raises(UnsuitableModel, match=r"model.neighbors=25: example has 24 training examples"):
        baselines.build(KNNConfig(neighbors=25), series(2, 17).card, 0)


def test_a_network_is_no_baseline() -> None:
    with pytest.raises(UnsuitableModel, match=r"model.family=cnn: expected a baseline, one of copy_source, gaussian"):
        baselines.build(CNNConfig(), series(2, 17).card, 0)


@pytest.mark.parametrize("kind", ["image", "series"])
def test_features_are_standardised_by_channel(kind: str) -> None:
    example = MADE[kind]
    channels = example.card.inputs["x"]["shape"][0]
    features = Features.of(example.card)(example.inputs).reshape(EXAMPLES, channels, -1)
    np.testing.assert_allclose(features.mean(axis=(0, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(features.std(axis=(0, 2)), 1, rtol=1e-4)


def test_a_copy_is_the_text_itself(tmp_path: Path) -> None:
    example = MADE["pairs"]
    model = fitted(CopySourceConfig(), example)
    lengths = example.inputs["source_length"] - 1
    expected = [row[:size].tolist() for row, size in zip(example.inputs["source"], lengths, strict=True)]
    assert model.translate(example.inputs) == expected
    model.save(tmp_path / "model.skops")
    assert baselines.load(tmp_path / "model.skops").translate(example.inputs) == expected


def test_a_memory_gives_the_translation_of_the_nearest_text(tmp_path: Path) -> None:
    """Of a text of train its own; of one with a strange end that of the one it begins like; else the text."""
    example = MADE["pairs"]
    model = fitted(TranslationMemoryConfig(), example)
    lengths = example.inputs["translation_length"] - 1
    expected = [row[1:end].tolist() for row, end in zip(example.inputs["translation"], lengths, strict=True)]
    found = model.translate(example.inputs)
    assert found[1] == expected[1]
    assert np.mean([one == other for one, other in zip(found, expected, strict=True)]) > 0.8, "short ones are alike"
    changed = example.inputs["source"][1:2].copy()
    changed[0, 4] = 2  # the end, earlier
    shorter = {"source": changed, "source_length": np.array([5], dtype=np.int32)}
    assert model.translate(shorter) == [expected[1]]
    strange = {"source": np.array([[0, 0, 2, 0, 0, 0]], dtype=np.int32), "source_length": np.array([3], dtype=np.int32)}
    assert model.translate(strange) == [[]]
    model.save(tmp_path / "model.skops")
    again = baselines.load(tmp_path / "model.skops")
    assert again.translate(example.inputs) == found
    np.testing.assert_array_equal(again.predict(example.inputs), model.predict(example.inputs))


def test_the_loss_of_a_proposed_translation_is_that_of_half_its_tokens_and_half_those_of_train() -> None:
    example = MADE["pairs"]
    model = fitted(CopySourceConfig(), example)
    written = [
        row[1:end] for row, end in zip(example.inputs["translation"], example.inputs["translation_length"], strict=True)
    ]
    counts = np.bincount(np.concatenate(written), minlength=12) + 1
    for row, loss in zip(range(5), model.predict(example.inputs), strict=False):
        # a copy of a text that is translated backwards has its very tokens
        tokens = written[row]
        share = (tokens[:, None] == tokens).mean(axis=0)
        assert loss == pytest.approx(-np.log(0.5 * share + 0.5 * counts[tokens] / counts.sum()).sum())
