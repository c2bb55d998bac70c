"""Scores that give every class the same weight, beside accuracy, which frequent classes decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from heldout.analysis.intervals import Estimate, mean_over_seeds
from heldout.record import Record


@dataclass(frozen=True)
class Balance:
    """One finished run: scores by split, and how unequal the classes are.

    label: what a reader sees of its configuration. imbalance: most frequent over least frequent class, of those that
    validation holds.
    """

    data: str
    name: str
    label: str
    seed: int
    imbalance: float
    balanced_accuracy: dict[str, float]
    macro_f1: dict[str, float]


@dataclass(frozen=True)
class FamilyBalance:
    """One configuration: means over its seeds by split, with intervals where seeds differ."""

    label: str
    balanced_accuracy: dict[str, Estimate]
    macro_f1: dict[str, Estimate]


def balanced_accuracy(target: np.ndarray, found: np.ndarray) -> float:
    """Mean recall of the classes that occur in `target`; both int [n]. Brodersen et al. 2010."""
    return float(np.mean([np.mean(found[target == label] == label) for label in np.unique(target)]))


def macro_f1(target: np.ndarray, found: np.ndarray) -> float:
    """Mean over classes of the harmonic mean of precision and recall; both int [n].

    Of the classes that occur in either; one that is never found, or of which nothing is right, counts as 0. It is the
    mean of the F1 scores, not the F1 score of means (Opitz and Burst 2019, arXiv 1911.03347).
    """
    scores = []
    for label in np.union1d(target, found):
        right = np.sum((target == label) & (found == label))
        scores.append(2 * right / (np.sum(target == label) + np.sum(found == label)))
    return float(np.mean(scores))


def balances_of(configurations: Mapping[str, Sequence[Record]], labels: Mapping[str, str]) -> list[Balance]:
    """The finished runs of the configurations of one data set; none where no classes are predicted."""
    return [
        _balance(record, name, labels[name])
        for name, records in configurations.items()
        for record in records
        if record.info["status"] == "finished" and record.info.get("classes")
    ]


def by_family(balances: Iterable[Balance], confidence: float) -> dict[str, FamilyBalance]:
    """The runs of one data set summed up, by the name of their configuration."""
    groups: dict[str, list[Balance]] = {}
    for one in balances:
        groups.setdefault(one.name, []).append(one)
    return {
        name: FamilyBalance(
            group[0].label,
            _means([one.balanced_accuracy for one in group], confidence),
            _means([one.macro_f1 for one in group], confidence),
        )
        for name, group in groups.items()
    }


def balance_rows(balances: Iterable[Balance]) -> list[dict[str, Any]]:
    """A row a run and split."""
    return [
        {"data": one.data, "name": one.name, "family": one.label, "seed": one.seed, "split": split}
        | {"balanced_accuracy": value, "macro_f1": one.macro_f1[split], "imbalance": one.imbalance}
        for one in balances
        for split, value in one.balanced_accuracy.items()
    ]


def _balance(record: Record, name: str, label: str) -> Balance:
    balanced, f1 = {}, {}
    counts = np.array([1])
    for split in record.prediction_splits:
        rows = record.predictions_of(split)
        found = rows.probabilities.argmax(axis=1)
        balanced[split] = balanced_accuracy(rows.target, found)
        f1[split] = macro_f1(rows.target, found)
        if split == "validation":
            counts = np.unique(rows.target, return_counts=True)[1]
    info = record.info
    return Balance(info["data"], name, label, info["seed"], float(counts.max() / counts.min()), balanced, f1)


def _means(of_seeds: Sequence[Mapping[str, float]], confidence: float) -> dict[str, Estimate]:
    splits = [split for split in of_seeds[0] if all(split in values for values in of_seeds)]
    means = {split: mean_over_seeds([values[split] for values in of_seeds], confidence) for split in splits}
    return {split: _within_unit(estimate) for split, estimate in means.items()}


def _within_unit(estimate: Estimate) -> Estimate:
    """Student's t does not know that there is nothing beyond 0 and 1."""
    if estimate.low is None or estimate.high is None:
        return estimate
    return replace(estimate, low=max(0.0, estimate.low), high=min(1.0, estimate.high))
