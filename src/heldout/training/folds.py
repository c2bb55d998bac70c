"""Cross-validation: train and validation taken together and split anew; the test set stays what it is."""

from __future__ import annotations

import numpy as np

from heldout.config.data import SplitMethod
from heldout.data.store import Split
from heldout.errors import UserError

# of the division into folds, the same for all trials: else they could not be compared
FOLD_SEED = 0
SPLITTABLE = (SplitMethod.random, SplitMethod.stratified)


class FoldsError(UserError):
    """The data cannot be divided into so many folds."""


def check_folds(method: SplitMethod, folds: int) -> None:
    """Raises FoldsError where dividing at random would put what belongs together on both sides."""
    if method not in SPLITTABLE:
        raise FoldsError(
            f"sweep.folds={folds} with data.split.method={method.name}: folds are drawn at random, which would break "
            f"what that split keeps apart. Expected {' or '.join(m.name for m in SPLITTABLE)}, or sweep.folds=null."
        )


def fold_splits(train: Split, validation: Split, folds: int, fold: int) -> tuple[Split, Split]:
    """Train and validation of one fold, stratified by class where there are classes.

    Kohavi 1995: stratified k-fold cross-validation.

    Raises:
        FoldsError: a class has fewer examples than there are folds.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    both = _concatenated(train, validation)
    if both.target.dtype.kind == "f":
        numbers = KFold(folds, shuffle=True, random_state=FOLD_SEED)
        kept, held_out = list(numbers.split(both.target))[fold]
        return _rows(both, kept), _rows(both, held_out)
    fewest = int(np.unique(both.target, return_counts=True)[1].min())
    if fewest < folds:
        raise FoldsError(
            f"sweep.folds={folds}: a class has {fewest} examples in train and validation; expected at least one a "
            "fold. Take fewer folds."
        )
    splitter = StratifiedKFold(folds, shuffle=True, random_state=FOLD_SEED)
    kept, held_out = list(splitter.split(np.zeros(len(both)), both.target))[fold]
    return _rows(both, kept), _rows(both, held_out)


def _concatenated(first: Split, second: Split) -> Split:
    inputs = {name: np.concatenate([values, second.inputs[name]]) for name, values in first.inputs.items()}
    return Split(np.concatenate([first.ids, second.ids]), inputs, np.concatenate([first.target, second.target]))


def _rows(split: Split, rows: np.ndarray) -> Split:
    return Split(split.ids[rows], {name: values[rows] for name, values in split.inputs.items()}, split.target[rows])
