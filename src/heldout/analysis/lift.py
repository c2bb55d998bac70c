"""By how much one family beats another on the same examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heldout.analysis.intervals import BATCH_ELEMENTS, Estimate
from heldout.analysis.metrics import correct
from heldout.config.analysis import AnalysisConfig
from heldout.record import Predictions

OVER_BOTH = "bootstrap over seeds and examples, paired by example"
OVER_EXAMPLES = "bootstrap over examples, paired by example"


def lift(
    family: Sequence[Predictions], other: Sequence[Predictions], cfg: AnalysisConfig, rng: np.random.Generator
) -> Estimate | None:
    """Mean accuracy of `family` minus that of `other`, one entry a seed, all on the same split.

    The interval is a two-level percentile bootstrap: seeds are drawn anew for each side, examples jointly
    for both, since an example that is hard for one is often hard for the other (Bouthillier et al. 2021,
    arXiv 2103.03098, on both sources of variance). With few seeds it is a little too narrow, as every
    bootstrap of few units. Returns None when the runs were not made on the same examples.
    """
    first, second = _answers(family), _answers(other)
    if first is None or second is None or first[0] != second[0]:
        return None
    right = first[1], second[1]
    examples = right[0].shape[1]
    batch = max(1, BATCH_ELEMENTS // examples)
    means = []
    for start in range(0, cfg.bootstrap_samples, batch):
        samples = min(batch, cfg.bootstrap_samples - start)
        drawn = rng.integers(examples, size=(samples, examples))
        rows = np.repeat(np.arange(samples), examples)
        weights = np.bincount(rows * examples + drawn.ravel(), minlength=samples * examples)
        weights = weights.reshape(samples, examples) / examples
        means.append(_over_seeds(right[0], weights, rng) - _over_seeds(right[1], weights, rng))
    tail = (1 - cfg.confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    method = OVER_BOTH if max(len(family), len(other)) > 1 else OVER_EXAMPLES
    return Estimate(float(right[0].mean() - right[1].mean()), float(low), float(high), method)


def _answers(runs: Sequence[Predictions]) -> tuple[list[str], np.ndarray] | None:
    """Sorted ids, and right answers [seeds, examples] in that order; None if the runs differ in ids."""
    ids = sorted(runs[0].ids.tolist())
    rows = []
    for run in runs:
        order = np.argsort(run.ids)
        if run.ids[order].tolist() != ids:
            return None
        rows.append(correct(run)[order])
    return ids, np.stack(rows)


def _over_seeds(right: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mean accuracy [samples] under example `weights` [samples, examples], with seeds drawn anew a sample."""
    by_seed = weights @ right.T
    drawn = rng.integers(len(right), size=by_seed.shape)
    return np.asarray(np.take_along_axis(by_seed, drawn, axis=1).mean(axis=1))
