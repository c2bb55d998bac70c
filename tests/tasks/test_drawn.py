"""Measures of drawn images, against planted truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from heldout.data.store import Split
from heldout.models.seeded import DRAWN_BESIDE, seeds_of
from heldout.tasks.drawn import RealImages, above, closer, copied, kernel_distances, within

FEATURES = 8


def points(rng: np.random.Generator, n: int, shift: float = 0.0) -> np.ndarray:
    return rng.normal(shift, 1, (n, FEATURES))


def inside(truth: float, values: np.ndarray) -> bool:
    """Whether the truth lies in the 95 % interval that the spread of pseudo-values gives."""
    return abs(values.mean() - truth) <= 1.96 * values.std(ddof=1) / np.sqrt(len(values))


def test_the_kernel_distance_is_that_of_its_definition() -> None:
    """Sums over all pairs, written out (seed 0)."""
    rng = np.random.default_rng(0)
    real, drawn = points(rng, 7), points(rng, 7 * DRAWN_BESIDE, 0.5)

    def mean(a: np.ndarray, b: np.ndarray, same: bool) -> float:
        pairs = [(x @ y / FEATURES + 1) ** 3 for i, x in enumerate(a) for j, y in enumerate(b) if not (same and i == j)]
        return float(np.mean(pairs))

    expected = mean(real, real, True) + mean(drawn, drawn, True) - 2 * mean(real, drawn, False)
    assert kernel_distances(real, drawn).mean() == pytest.approx(expected)


def test_kernel_distances_are_right_on_average_and_know_their_error() -> None:
    """Of two samples of one distribution it is 0; of shifted ones the interval covers the truth (seed 1, 100 times)."""
    rng = np.random.default_rng(1)
    same = [kernel_distances(points(rng, 60), points(rng, 60 * DRAWN_BESIDE)).mean() for _ in range(100)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(100)
    truth = kernel_distances(points(rng, 1500), points(rng, 1500 * DRAWN_BESIDE, 0.7)).mean()
    covered = [
        inside(truth, kernel_distances(points(rng, 80), points(rng, 80 * DRAWN_BESIDE, 0.7))) for _ in range(100)
    ]
    assert np.mean(covered) >= 0.88


def test_what_lies_within_a_sample() -> None:
    """On a line 0, 1, 2, 3, 4: each one's third neighbour is 3, 2, 2, 2, 3 away."""
    line = np.arange(5.0)[:, None]
    np.testing.assert_array_equal(within(np.array([[-3.0], [-3.1], [2.5], [7.0], [7.1]]), line), [1, 0, 1, 1, 0])


def test_shares_above() -> None:
    np.testing.assert_allclose(above(np.array([0.0, 1.0, 5.0]), np.array([1.0, 1.0, 2.0, 4.0])), [0, 0.25, 1])


def test_closer_is_the_statistic_of_mann_and_whitney_in_one_cell() -> None:
    """Seed 0."""
    rng = np.random.default_rng(0)
    real, drawn = rng.normal(2, 1, 50), rng.normal(1.5, 1, 50 * DRAWN_BESIDE)
    found = closer(real, np.zeros(50), drawn, np.zeros(len(drawn)))
    assert found.mean() == pytest.approx(mannwhitneyu(real, drawn).statistic / (50 * len(drawn)))


def test_closer_knows_its_error_and_compares_within_cells() -> None:
    """In each of two cells as often as not; the cells differ, and drawn images prefer one (seed 2, 200 times)."""
    rng = np.random.default_rng(2)
    whole, covered = [], []
    for _ in range(200):
        cell = np.arange(80) % 2
        drawn_cell = (rng.random(80 * DRAWN_BESIDE) < 0.8).astype(int)
        real, drawn = (rng.normal(5 - 3 * one, 1) for one in (cell, drawn_cell))
        covered.append(inside(0.5, closer(real, cell, drawn, drawn_cell)))
        whole.append(above(real, drawn).mean())
    assert 0.9 <= np.mean(covered) <= 0.99
    assert np.mean(whole) > 0.6, "without cells, drawing one kind too often looks like copying"


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_copies_is_found(share: float) -> None:
    """Copies with a little noise among new points; the interval covers the truth (seed 3, 60 times)."""
    rng = np.random.default_rng(3)
    values, covered = [], []
    for _ in range(60):
        train, held_out = points(rng, 180), points(rng, 60)
        drawn = points(rng, 60 * DRAWN_BESIDE)
        copies = rng.random(len(drawn)) < share
        drawn[copies] = train[rng.integers(len(train), size=copies.sum())] + rng.normal(
            0, 0.01, (copies.sum(), FEATURES)
        )
        found = copied(drawn, held_out, train)
        values.append(found.mean())
        covered.append(inside(share, found))
    assert np.mean(values) == pytest.approx(share, abs=0.03)
    assert np.mean(covered) >= 0.88


def images(rng: np.random.Generator, n: int, name: str) -> Split:
    """Grey images of 4 x 4 pixels, normally distributed."""
    x = rng.normal(128, 30, (n, 1, 4, 4)).round().clip(0, 255).astype(np.uint8)
    return Split(np.array([f"{name}-{row}" for row in range(n)]), {"x": x}, np.zeros(n))


def test_all_measures_of_a_copier_and_of_new_images() -> None:
    """Seed 4."""
    rng = np.random.default_rng(4)
    train, validation = images(rng, 300, "train"), images(rng, 100, "validation")
    real = RealImages(train, validation)
    means = {}
    for name, draw in {
        "copier": lambda seeds: train.inputs["x"][seeds % 300],
        "new": lambda seeds: images(rng, len(seeds), "drawn").inputs["x"],
    }.items():
        for split in (train, validation):
            columns = real.measured(split, draw)
            assert all(column.shape == (len(split),) and np.isfinite(column).all() for column in columns.values())
            means[name, len(split)] = {key: column.mean() for key, column in columns.items()}
    for examples in (300, 100):
        assert means["copier", examples]["copied"] == pytest.approx(1, abs=0.02)
        assert means["copier", examples]["closer"] > 0.99
        assert means["new", examples]["copied"] == pytest.approx(0, abs=0.2)
        assert means["new", examples]["closer"] == pytest.approx(0.5, abs=0.1)
        assert means["new", examples]["recall"] == pytest.approx(means["new", examples]["recall_of_real"], abs=0.1)
        assert means["new", examples]["distance"] == pytest.approx(0, abs=0.1)


def test_an_example_has_the_same_seeds_wherever_it_stands() -> None:
    ids = np.array(["a", "b", "c"])
    seeds = seeds_of(ids)
    assert len(set(seeds.tolist())) == 3 * DRAWN_BESIDE
    np.testing.assert_array_equal(seeds_of(ids[1:2]), seeds[DRAWN_BESIDE : 2 * DRAWN_BESIDE])
