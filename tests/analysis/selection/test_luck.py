"""Expected luck against sweeps simulated with known truth; the campaign behind it is benchmarks/selection_bias.py.

The unit is the spread between seeds. A report estimates the expected drop with an error of about half a unit where
luck is large, so the mean over 8 sweeps has a standard error of about 0.18; the model does not know whether
configurations are equal, which costs up to a tenth where they are (see the campaign). The tolerance is four standard
errors of the very replications, and a sixth of the truth.
"""

from __future__ import annotations

import numpy as np
import pytest

from heldout.analysis.selection.competition import Noise, draw_field
from heldout.analysis.selection.luck import Design, expected_luck

REPLICATIONS = 8
FREEDOM = 12
DESIGN = Design(refitted=3, seeds=5)


def true_drop(means: np.ndarray, sweeps: int, rng: np.random.Generator) -> float:
    """Mean drop from the best of noisy scores to its mean."""
    scores = means + rng.standard_normal((sweeps, len(means)))
    best = scores.argmax(axis=1)
    return float((scores[np.arange(sweeps), best] - means[best]).mean())


def measured(rng: np.random.Generator, examples: float = 0.0) -> Noise:
    return Noise(rng.chisquare(FREEDOM) / FREEDOM, FREEDOM, examples)


@pytest.fixture(scope="module")
def campaign() -> dict[tuple[int, float], np.ndarray]:
    """By number of configurations and their spread: true drop, reported, and whether its interval holds the truth."""
    rng = np.random.default_rng(5)
    found = {}
    for n in (4, 16, 64):
        for spread in (0.0, 10.0):
            rows = []
            for _ in range(REPLICATIONS):
                means = spread * rng.standard_normal(n)
                true = true_drop(means, 4000, rng)
                luck = expected_luck(means + rng.standard_normal(n), measured(rng), DESIGN, 0.95, rng).to_fresh
                rows.append((true, luck.value, luck.lower <= true <= luck.upper))
            found[n, spread] = np.array(rows)
    return found


@pytest.mark.parametrize("n", [4, 16, 64])
@pytest.mark.parametrize("spread", [0.0, 10.0])
def test_the_expected_drop_is_that_of_simulation(campaign: dict, n: int, spread: float) -> None:
    true, reported, _ = campaign[n, spread].T
    error = (reported - true).std(ddof=1) / np.sqrt(REPLICATIONS)
    assert abs((reported - true).mean()) < 4 * error + true.mean() / 6
    # where all are equal, the mean of the largest of n standard normals: 1.03, 1.77 and 2.34 (Harter 1961)
    if spread == 0:
        assert true.mean() == pytest.approx({4: 1.0294, 16: 1.7660, 64: 2.3437}[n], abs=0.04)


def test_the_interval_covers_the_true_drop(campaign: dict) -> None:
    held = np.concatenate([rows[:, 2] for rows in campaign.values()])
    # 48 intervals: three standard errors below 0.95
    assert held.mean() >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / len(held))


def test_more_competitors_bring_more_luck_and_a_clear_best_brings_none() -> None:
    rng = np.random.default_rng(6)
    drops = [expected_luck(rng.standard_normal(n), Noise(1, 50), DESIGN, 0.95, rng).to_fresh.value for n in (2, 8, 64)]
    assert drops == sorted(drops)
    far = np.append(rng.standard_normal(30), 12.0)
    assert abs(expected_luck(far, Noise(1, 50), DESIGN, 0.95, rng).to_fresh.value) < 0.15


def test_pruned_competitors_and_fewer_fits_add_luck() -> None:
    scores = np.random.default_rng(7).standard_normal(12)

    def drop(noise: Noise, pruned: int) -> float:
        luck = expected_luck(scores, noise, Design(3, 5, pruned), 0.95, np.random.default_rng(8))
        return luck.to_fresh.value

    assert drop(Noise(1, 50), 40) > 1.15 * drop(Noise(1, 50), 0)
    assert drop(Noise(1, 50, fits=4), 0) < 0.7 * drop(Noise(1, 50), 0)


def test_luck_of_examples_shows_on_test_and_not_before() -> None:
    rng = np.random.default_rng(9)
    scores = np.sqrt(1.01) * rng.standard_normal(32)
    luck = expected_luck(scores, Noise(0.01, 50, examples=1.0), DESIGN, 0.95, rng)
    assert luck.to_test is not None
    # all differences are luck of examples: the best of 32 is 2.07 too good, on fresh seeds still
    assert luck.to_test.value == pytest.approx(2.07, rel=0.25)
    assert luck.to_fresh.value < 0.1


@pytest.mark.parametrize("n", [1, 2, 200])
def test_any_number_of_configurations_has_finite_luck(n: int) -> None:
    rng = np.random.default_rng(10)
    luck = expected_luck(np.zeros(n), Noise(1e-6, 2, 1e-7), Design(min(3, n), 2), 0.95, rng)
    values = [luck.to_fresh.value, luck.to_fresh.lower, luck.to_fresh.upper, luck.to_fresh_most]
    assert np.isfinite(values).all()
    assert n > 1 or abs(luck.to_fresh.value) < 5e-4


def test_means_are_shrunk_towards_each_other_where_luck_explains_their_spread() -> None:
    rng = np.random.default_rng(11)
    scores = rng.standard_normal(40)
    alike = draw_field(scores, Noise(1.0, 100), rng).means.mean(axis=0)
    apart = draw_field(scores, Noise(0.0001, 100), rng).means.mean(axis=0)
    assert alike.std() < 0.5 * scores.std()
    assert apart == pytest.approx(scores, abs=0.05)
