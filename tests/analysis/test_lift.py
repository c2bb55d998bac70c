"""The lift of one family over another, on simulated answers with a known difference."""

from __future__ import annotations

import numpy as np
import pytest

from heldout.analysis.lift import OVER_BOTH, OVER_EXAMPLES, lift
from heldout.config.analysis import AnalysisConfig
from heldout.record import Predictions

CFG = AnalysisConfig(bootstrap_samples=400)


def predictions(right: np.ndarray, order: np.ndarray | None = None) -> Predictions:
    order = np.arange(len(right)) if order is None else order
    probabilities = np.where(right[:, None], [[0.9, 0.1]], [[0.1, 0.9]]).astype(np.float32)
    ids = np.array([f"v{i:04d}" for i in range(len(right))])
    return Predictions(ids[order], np.zeros(len(right), dtype=np.int64), probabilities[order])


def simulated(
    rng: np.random.Generator, accuracy: float, seeds: int, difficulty: np.ndarray, spread: float
) -> list[Predictions]:
    """Seeds of a family whose own accuracies differ by `spread`; hard examples are hard for all."""
    quantiles = rng.normal(accuracy, spread, seeds)
    noise = rng.random((seeds, len(difficulty)))
    return [predictions((0.5 * difficulty + 0.5 * noise[s]) < _threshold(q)) for s, q in enumerate(quantiles)]


def _threshold(accuracy: float) -> float:
    """Quantile of the triangular distribution that the mean of two uniforms has."""
    return np.sqrt(accuracy / 2) if accuracy <= 0.5 else 1 - np.sqrt((1 - accuracy) / 2)


@pytest.mark.parametrize(("seeds", "spread"), [(1, 0.0), (8, 0.02)])
def test_the_interval_covers_the_planted_difference(seeds: int, spread: float) -> None:
    rng = np.random.default_rng(0)
    simulations, hits = 200, 0
    for _ in range(simulations):
        difficulty = rng.random(300)
        first = simulated(rng, 0.85, seeds, difficulty, spread)
        second = simulated(rng, 0.80, seeds, difficulty, spread)
        value = lift(first, second, CFG, rng)
        hits += value.low <= 0.05 <= value.high
    # four standard errors (0.015 each) around 0.95; below also what eight seeds leave of the spread
    assert 0.88 <= hits / simulations <= 1.0


def test_pairing_makes_the_interval_narrower_where_the_same_examples_are_hard() -> None:
    rng = np.random.default_rng(1)
    right = rng.random(500) < 0.8
    better = right.copy()
    better[np.flatnonzero(~right)[:20]] = True
    paired = lift([predictions(better)], [predictions(right)], CFG, rng)
    unrelated = lift([predictions(rng.permutation(better))], [predictions(right)], CFG, rng)
    assert paired.value == unrelated.value == pytest.approx(0.04)
    assert paired.low > 0
    assert paired.width < 0.5 * unrelated.width


def test_the_order_of_the_examples_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    right, other = rng.random(200) < 0.8, rng.random(200) < 0.7
    straight = lift([predictions(right)], [predictions(other)], CFG, np.random.default_rng(0))
    shuffled = predictions(right, np.random.default_rng(3).permutation(200))
    assert lift([shuffled], [predictions(other)], CFG, np.random.default_rng(0)) == straight


def test_the_method_says_what_was_resampled() -> None:
    rng = np.random.default_rng(4)
    one, two = [predictions(rng.random(50) < 0.8)], [predictions(rng.random(50) < 0.8) for _ in range(2)]
    assert lift(one, one, CFG, rng).method == OVER_EXAMPLES
    assert lift(one, two, CFG, rng).method == OVER_BOTH


def test_runs_on_other_examples_have_no_lift() -> None:
    rng = np.random.default_rng(5)
    assert lift([predictions(rng.random(50) < 0.8)], [predictions(rng.random(60) < 0.8)], CFG, rng) is None
