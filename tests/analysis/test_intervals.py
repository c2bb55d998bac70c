"""Intervals against simulations with a known truth. The coverage of 400 simulated intervals has a standard error of
0.011, so the bounds below are four of them (and leave the bootstrap the small shortfall it has at n = 150)."""

from __future__ import annotations

import numpy as np
import pytest

from heldout.analysis.intervals import (
    BOOTSTRAP,
    mean_difference,
    mean_over_seeds,
    proportion,
    proportion_difference,
)

SIMULATIONS = 400


def covered(low: np.ndarray, high: np.ndarray, truth: float) -> float:
    return float(np.mean((low <= truth) & (truth <= high)))


@pytest.mark.parametrize(("confidence", "bounds"), [(0.95, (0.90, 0.99)), (0.8, (0.72, 0.88))])
def test_the_bootstrap_interval_of_an_accuracy_gap_covers_the_truth(
    confidence: float, bounds: tuple[float, float]
) -> None:
    rng = np.random.default_rng(1)
    ends = []
    for _ in range(SIMULATIONS):
        train, validation = rng.random(150) < 0.95, rng.random(200) < 0.8
        estimate = mean_difference(train.astype(float), validation.astype(float), confidence, 300, rng)
        ends.append((estimate.low, estimate.high))
    assert bounds[0] <= covered(*np.array(ends).T, 0.15) <= bounds[1]


def test_the_bootstrap_interval_of_a_loss_gap_covers_the_truth() -> None:
    rng = np.random.default_rng(2)
    ends = []
    for _ in range(SIMULATIONS):
        # exponential losses: skewed, as losses are
        train, validation = rng.exponential(0.1, 150), rng.exponential(0.6, 200)
        estimate = mean_difference(train, validation, 0.95, 300, rng)
        ends.append((estimate.low, estimate.high))
    assert 0.89 <= covered(*np.array(ends).T, -0.5) <= 0.99


def test_the_bootstrap_agrees_with_the_normal_theory_of_a_large_sample() -> None:
    rng = np.random.default_rng(3)
    train, validation = rng.normal(1, 2, 2000), rng.normal(0, 1, 3000)
    estimate = mean_difference(train, validation, 0.95, 4000, rng)
    error = 1.96 * np.sqrt(train.var() / 2000 + validation.var() / 3000)
    assert estimate.method == BOOTSTRAP
    assert estimate.value == pytest.approx(train.mean() - validation.mean())
    assert estimate.low == pytest.approx(estimate.value - error, abs=0.1 * error)
    assert estimate.high == pytest.approx(estimate.value + error, abs=0.1 * error)


def test_a_share_has_the_interval_of_wilson() -> None:
    # Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3: 81 of 263
    estimate = proportion(81, 263, 0.95)
    assert (round(estimate.low, 4), round(estimate.high, 4)) == (0.2553, 0.3662)


def test_a_share_of_one_still_has_an_interval() -> None:
    estimate = proportion(40, 40, 0.95)
    assert estimate.high == pytest.approx(1.0)
    assert 0.9 < estimate.low < 0.92


@pytest.mark.parametrize(
    ("counts", "expected"),
    # Newcombe 1998 (Statistics in Medicine 17:873), table II, method 10: examples (a), (d) and (h)
    [((56, 70, 48, 80), (0.0524, 0.3339)), ((10, 10, 0, 20), (0.6791, 1.0)), ((10, 10, 0, 10), (0.6075, 1.0))],
)
def test_a_difference_of_shares_has_the_interval_of_newcombe(counts: tuple, expected: tuple) -> None:
    estimate = proportion_difference(*counts, 0.95)
    assert (round(estimate.low, 4), round(estimate.high, 4)) == expected


def test_the_t_interval_over_seeds_covers_the_truth() -> None:
    rng = np.random.default_rng(4)
    estimates = [mean_over_seeds(rng.normal(0.9, 0.02, 3), 0.95) for _ in range(SIMULATIONS)]
    ends = np.array([(estimate.low, estimate.high) for estimate in estimates])
    assert 0.905 <= covered(*ends.T, 0.9) <= 0.995


@pytest.mark.parametrize("values", [[0.9], [0.9, 0.9, 0.9]])
def test_without_spread_there_is_no_interval_over_seeds(values: list[float]) -> None:
    estimate = mean_over_seeds(values, 0.95)
    assert (estimate.value, estimate.low, estimate.width) == (pytest.approx(0.9), None, None)
    assert estimate.lower == estimate.upper == estimate.value
