"""Cross-validation: every example is held out once, each fold keeps the shares of the classes."""

from __future__ import annotations

import numpy as np
import pytest

from heldout.config.data import SplitMethod
from heldout.data.store import Split
from heldout.training.folds import FoldsError, check_folds, fold_splits


def split(first: int, count: int) -> Split:
    numbers = np.arange(first, first + count)
    return Split(np.array([f"id-{n}" for n in numbers]), {"features": numbers[:, None] * 1.0}, numbers % 3)


def test_every_example_is_held_out_once_with_its_own_inputs_and_target() -> None:
    train, validation = split(0, 60), split(60, 30)
    seen: list[str] = []
    for fold in range(5):
        kept, held_out = fold_splits(train, validation, 5, fold)
        assert not set(kept.ids) & set(held_out.ids)
        assert len(kept) + len(held_out) == 90
        assert np.bincount(held_out.target).tolist() == [6, 6, 6]
        for one in (kept, held_out):
            numbers = one.inputs["features"][:, 0].astype(int)
            assert one.ids.tolist() == [f"id-{n}" for n in numbers]
            assert one.target.tolist() == (numbers % 3).tolist()
        seen += held_out.ids.tolist()
    assert sorted(seen) == sorted([*train.ids, *validation.ids])


def test_folds_are_the_same_for_every_trial() -> None:
    once, again = (fold_splits(split(0, 60), split(60, 30), 3, 1)[1].ids.tolist() for _ in range(2))
    assert once == again


def test_more_folds_than_examples_of_a_class_are_refused() -> None:
    with pytest.raises(FoldsError, match="a class has 4 examples"):
        fold_splits(split(0, 6), split(6, 6), 5, 0)


@pytest.mark.parametrize("method", [SplitMethod.grouped, SplitMethod.time, SplitMethod.given])
def test_folds_do_not_break_what_a_split_keeps_apart(method: SplitMethod) -> None:
    with pytest.raises(FoldsError, match=f"method={method.name}"):
        check_folds(method, 5)
