"""The data of a fit, as every one of its workers reads them."""

from __future__ import annotations

from heldout.config.stages import TrainConfig
from heldout.data.store import Split, read_split
from heldout.data.subset import fixed_subset
from heldout.training.fitted import FitInputs
from heldout.training.folds import fold_splits
from heldout.training.prepared import Prepared


def fit_inputs(config: TrainConfig, prepared: Prepared, folds: int | None, fold: int) -> FitInputs:
    """Train, the part of it that is measured, and validation; of one fold where there are folds."""
    train = read_split(prepared.folder, "train")
    validation = read_split(prepared.folder, "validation")
    if folds is not None:
        train, validation = fold_splits(train, validation, folds, fold)
    # the same examples for every seed and family, so that gaps are comparable
    rows = fixed_subset(len(train), config.trainer.train_subset or len(validation))
    subset = Split(train.ids[rows], {name: values[rows] for name, values in train.inputs.items()}, train.target[rows])
    return FitInputs(prepared.card, train, subset, validation)
