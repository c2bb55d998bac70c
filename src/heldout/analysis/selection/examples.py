"""Scores of single examples: of refits on validation and test, and of trials on validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from heldout.predictions import Predictions
from heldout.record import Record, RecordError


class Examples:
    """The metric of single examples, by record and split, in the order of the ids; each record is read once."""

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._ids: dict[str, np.ndarray] = {}
        self._found: dict[tuple[Path, str], np.ndarray] = {}

    def values(self, records: Sequence[Record], split: str) -> np.ndarray | None:
        """[records, examples]; None when the metric is no mean over examples, or a record has no predictions there.

        Raises RecordError when a record is of other examples than those before it, or damaged.
        """
        if not records or any(split not in record.prediction_splits for record in records):
            return None
        # of a task's measures, those that are the mean itself and no function of it
        measures = {one.name: one.of_examples for one in records[0].scoring.measures if one.of_mean is float}
        if self._metric not in measures:
            return None
        return np.stack([self._of(record, split, measures[self._metric]) for record in records])

    def _of(self, record: Record, split: str, measure: Callable[[Predictions], np.ndarray]) -> np.ndarray:
        key = record.path, split
        if key not in self._found:
            rows = record.predictions_of(split)
            order = np.argsort(rows.ids)
            if not np.array_equal(rows.ids[order], self._ids.setdefault(split, rows.ids[order])):
                raise RecordError(
                    f"{record.path} has {split} predictions of other examples than the other fits of the sweep; "
                    "expected the same. Run the sweep anew on one data set"
                )
            self._found[key] = measure(rows)[order]
        return self._found[key]


def luck_of_examples(values: np.ndarray) -> float:
    """Variance, at its configuration's mean over seeds, of a score on these examples; `values` is
    [configurations, seeds, examples], at least two of each.

    Only the luck in which configurations differ: an example that is hard for all makes none of them win. It is the
    interaction of configurations and examples in an analysis of variance with seeds nested in configurations
    (Montgomery, Design and Analysis of Experiments, chapter 14), over the number of examples.
    """
    configurations, seeds, examples = values.shape
    mean = values.mean(axis=1)
    rest = mean - mean.mean(axis=0) - mean.mean(axis=1, keepdims=True) + mean.mean()
    between = seeds * float((rest**2).sum()) / ((configurations - 1) * (examples - 1))
    inside = values - mean[:, None] - values.mean(axis=2, keepdims=True) + mean.mean(axis=1)[:, None, None]
    within = float((inside**2).sum()) / (configurations * (seeds - 1) * (examples - 1))
    return float(max(0.0, between - within) / seeds / examples)


def corrected_for_examples(
    values: np.ndarray, direction: float, confidence: float, samples: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """What the trial with the best mean in `values` [trials, examples] is worth on new examples: value, low, high.

    The bootstrap bias correction of Tsamardinos et al. 2018 (Machine Learning 107): examples are drawn with
    replacement, the best trial is chosen on them and scored on those left out; the mean and central interval of these
    scores. It does not correct for the seed: the fits are those of the sweep. direction: 1 where more is better,
    -1 where less.
    """
    examples = values.shape[1]
    scores = []
    for _ in range(samples):
        weights = np.bincount(rng.integers(examples, size=examples), minlength=examples)
        left_out = weights == 0
        if left_out.any():
            chosen = int(np.argmax(direction * (values @ weights)))
            scores.append(float(values[chosen, left_out].mean()))
    low, high = np.quantile(scores, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(np.mean(scores)), float(low), float(high)
