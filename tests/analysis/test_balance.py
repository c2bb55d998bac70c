"""Scores for classes of unequal size, against scikit-learn and planted truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score
from tests.analysis.synthetic import Plan, plant, plant_failed

from heldout.analysis import compare
from heldout.analysis.balance import balance_rows, balanced_accuracy, by_family, macro_f1
from heldout.config.analysis import AnalysisConfig
from heldout.record import Record, find_records

CFG = AnalysisConfig(bootstrap_samples=20)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("seed", range(20))
def test_scores_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = rng.choice(5, size=60, p=[0.6, 0.2, 0.1, 0.07, 0.03])
    # a class that does not occur, and others that are never found
    found = np.where(rng.random(60) < 0.6, target, rng.choice([0, 1, 6], size=60))
    assert balanced_accuracy(target, found) == pytest.approx(balanced_accuracy_score(target, found))
    assert macro_f1(target, found) == pytest.approx(f1_score(target, found, average="macro", zero_division=0))


def test_who_names_the_frequent_class_alone_is_worth_one_class() -> None:
    target = np.repeat([0, 1, 2, 3], [97, 1, 1, 1])
    assert balanced_accuracy(target, np.zeros(100, dtype=int)) == 0.25
    assert macro_f1(target, np.zeros(100, dtype=int)) == pytest.approx(2 * 97 / 197 / 4)


def test_runs_are_summed_up_by_configuration(tmp_path: Path) -> None:
    weights = np.array([0.9, 0.1])
    for seed in (0, 1):
        plant(tmp_path, Plan("mlp", test=0.9), seed=seed, classes=2, weights=weights)
    plant_failed(tmp_path, "cnn", "the loss is NaN", classes=2)
    comparison = compare([Record.load(path) for path in find_records(tmp_path)], CFG)
    assert [(one.label, one.seed) for one in comparison.balances] == [("mlp", 0), ("mlp", 1)]
    assert all(5 < one.imbalance < 15 for one in comparison.balances)
    (family,) = by_family(comparison.balances, 0.95).values()
    values = [one.balanced_accuracy["test"] for one in comparison.balances]
    assert family.balanced_accuracy["test"].value == pytest.approx(np.mean(values))
    assert len(balance_rows(comparison.balances)) == 6
    assert type(comparison).from_json(comparison.to_json()) == comparison
