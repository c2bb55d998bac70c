"""By how much one family beats another on the same examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heldout.analysis.intervals import BATCH_ELEMENTS, Estimate
from heldout.config.analysis import AnalysisConfig
from heldout.predictions import Predictions
from heldout.scoring import CLASSIFICATION, Measure, scoring_of

OVER_BOTH = "bootstrap over seeds and examples, paired by example"
OVER_EXAMPLES = "bootstrap over examples, paired by example"


def lift(
    family: Sequence[Predictions],
    other: Sequence[Predictions],
    cfg: AnalysisConfig,
    rng: np.random.Generator,
    score: Measure | None = None,
) -> Estimate | None:
    """Mean score of `family` minus that of `other`, one entry a seed, all on the same split; else of accuracy.

    The interval is a two-level percentile bootstrap: seeds are drawn anew for each side, examples jointly
    for both, since an example that is hard for one is often hard for the other (Bouthillier et al. 2021,
    arXiv 2103.03098, on both sources of variance). With few seeds it is a little too narrow, as every
    bootstrap of few units. Returns None when the runs were not made on the same examples.
    """
    score = score or scoring_of(CLASSIFICATION).score
    first, second = _scores(family, score), _scores(other, score)
    if first is None or second is None or first[0] != second[0]:
        return None
    scores = first[1], second[1]
    examples = scores[0].shape[1]
    batch = max(1, BATCH_ELEMENTS // examples)
    means = []
    for start in range(0, cfg.bootstrap_samples, batch):
        samples = min(batch, cfg.bootstrap_samples - start)
        drawn = rng.integers(examples, size=(samples, examples))
        rows = np.repeat(np.arange(samples), examples)
        weights = np.bincount(rows * examples + drawn.ravel(), minlength=samples * examples)
        weights = weights.reshape(samples, examples) / examples
        means.append(_over_seeds(scores[0], weights, rng) - _over_seeds(scores[1], weights, rng))
    tail = (1 - cfg.confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    method = OVER_BOTH if max(len(family), len(other)) > 1 else OVER_EXAMPLES
    return Estimate(float(scores[0].mean() - scores[1].mean()), float(low), float(high), method)


def _scores(runs: Sequence[Predictions], score: Measure) -> tuple[list[str], np.ndarray] | None:
    """Sorted ids, and scores [seeds, examples] in that order; None if the runs differ in ids."""
    ids = sorted(runs[0].ids.tolist())
    rows = []
    for run in runs:
        order = np.argsort(run.ids)
        if run.ids[order].tolist() != ids:
            return None
        rows.append(score.of_examples(run)[order])
    return ids, np.stack(rows)


def _over_seeds(scores: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mean score [samples] under example `weights` [samples, examples], with seeds drawn anew a sample."""
    by_seed = weights @ scores.T
    drawn = rng.integers(len(scores), size=by_seed.shape)
    return np.asarray(np.take_along_axis(by_seed, drawn, axis=1).mean(axis=1))
