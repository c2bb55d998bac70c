"""The fixed part of train on which the gap is measured."""

from __future__ import annotations

import numpy as np

from heldout.data.subset import fixed_subset


def test_rows_are_sorted_without_repetition_and_within_range():
    rows = fixed_subset(1000, 100)
    assert len(rows) == 100
    assert (np.diff(rows) > 0).all()
    assert rows.min() >= 0
    assert rows.max() < 1000


def test_the_choice_is_the_same_each_time_and_depends_on_the_seed():
    np.testing.assert_array_equal(fixed_subset(1000, 100), fixed_subset(1000, 100, seed=0))
    assert fixed_subset(1000, 100).tolist() != fixed_subset(1000, 100, seed=1).tolist()


def test_a_small_set_is_taken_whole():
    assert fixed_subset(5, 100).tolist() == [0, 1, 2, 3, 4]
