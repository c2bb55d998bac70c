"""The luck of validation examples: measured, and corrected for, against planted truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.analysis.sweeps import World

from heldout.analysis.selection.examples import Examples, corrected_for_examples, luck_of_examples
from heldout.record import Record, RecordError


def test_the_luck_of_examples_is_measured_without_bias() -> None:
    """Variance components are planted; 300 draws of an estimate of 0.04 / 50 with a relative spread of about 0.3."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(300):
        shape = 3, 4, 50
        values = rng.normal(0, 1, 50) + rng.normal(0, 0.2, (3, 1, 50)) + rng.normal(0, 0.1, (3, 4, 1))
        found.append(luck_of_examples(values + rng.normal(0, 0.3, shape)))
    assert np.mean(found) == pytest.approx(0.04 / 50, rel=0.08)


def test_examples_that_are_hard_for_all_are_no_luck() -> None:
    rng = np.random.default_rng(2)
    values = np.broadcast_to(rng.normal(0, 5, 80), (3, 2, 80)) + rng.normal(0, 0.01, (3, 2, 80))
    assert luck_of_examples(values) < 1e-6


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_the_best_of_equal_trials_is_corrected_to_what_they_are_worth(direction: float) -> None:
    """30 trials of accuracy 0.7 on 200 examples: the best shows 0.766 on average, corrected it is 0.7 within error."""
    rng = np.random.default_rng(3)
    shown, corrected, held = [], [], []
    for _ in range(40):
        values = (rng.random((30, 200)) < 0.7).astype(float)
        value, low, high = corrected_for_examples(values, direction, 0.95, 150, rng)
        shown.append(direction * (direction * values.mean(axis=1)).max())
        corrected.append(value)
        held.append(low <= 0.7 <= high)
    error = np.std(corrected, ddof=1) / np.sqrt(len(corrected))
    assert direction * (np.mean(shown) - 0.7) > 0.05
    assert abs(np.mean(corrected) - 0.7) < 4 * error
    assert np.mean(held) >= 0.85


def test_values_are_aligned_by_id_and_other_examples_are_refused(tmp_path: Path) -> None:
    world = World(examples=30)
    for seed in (1, 2):
        world.plant(tmp_path, f"{seed}", 0, seed, 0.5, ("train", "validation"))
    World(examples=31).plant(tmp_path, "other", 0, 3, 0.5, ("train", "validation"))
    records = [Record.load(tmp_path / name) for name in ("1", "2", "other")]
    examples = Examples("accuracy")
    values = examples.values(records[:2], "validation")
    assert values is not None
    order = np.argsort([f"validation-{i}" for i in range(30)])
    assert values[1].astype(bool).tolist() == world.right(0, 2, 0.5, "validation")[order].tolist()
    with pytest.raises(RecordError, match="other examples"):
        examples.values(records, "validation")


def test_what_is_no_mean_over_examples_has_no_values(tmp_path: Path) -> None:
    World(examples=30).plant(tmp_path, "1", 0, 1, 0.5, ("train", "validation"))
    record = Record.load(tmp_path / "1")
    assert Examples("f1").values([record], "validation") is None
    assert Examples("accuracy").values([record], "test") is None
    assert Examples("loss").values([record], "validation") is not None
