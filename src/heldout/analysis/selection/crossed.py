"""Means over seeds and examples at once: what new seeds *and* new examples would do to them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from heldout.analysis.intervals import Estimate

CROSSED = "over seeds and examples, two-way random effects"
EXAMPLES = "over examples of one seed"


def crossed_mean(values: np.ndarray, confidence: float) -> Estimate:
    """Mean of `values` [seeds, examples] with an interval that accounts for both.

    Seeds and examples are crossed random effects: every seed's model answers the same examples. The variance of the
    mean is that of the means of seeds, plus what the examples have in common over seeds, from a two-way analysis of
    variance; Student's t with the degrees of freedom of Satterthwaite 1946, as in studies of several readers and
    cases (Gallas 2006, Academic Radiology 13; Hillis 2007, Statistics in Medicine 26). One seed: over examples only.
    """
    return _estimate(float(values.mean()), *_variance([values]), confidence, len(values))


def crossed_difference(first: np.ndarray, second: np.ndarray, confidence: float) -> Estimate:
    """Mean of `first` minus mean of `second`, [seeds, examples] each: the same models on two sets of examples.

    Row by row the seeds are the same, so that what a seed does to both sets cancels; the examples are independent.
    """
    value = float(first.mean() - second.mean())
    return _estimate(value, *_variance([first, -second]), confidence, len(first))


def _variance(blocks: Sequence[np.ndarray]) -> tuple[float, float]:
    """Variance of the sum of the means of `blocks`, and its degrees of freedom."""
    seeds = len(blocks[0])
    parts = [_of_examples(block) for block in blocks]
    if seeds > 1:
        by_seed = np.sum([block.mean(axis=1) for block in blocks], axis=0)
        parts.append((float(by_seed.var(ddof=1)) / seeds, seeds - 1))
    total = sum(part for part, _ in parts)
    if total <= 0:
        return 0.0, math.inf
    return total, total**2 / sum(part**2 / freedom for part, freedom in parts)


def _of_examples(block: np.ndarray) -> tuple[float, float]:
    """Share of the examples in the variance of the mean of `block`, and its degrees of freedom."""
    seeds, examples = block.shape
    if examples < 2:
        return 0.0, 1.0
    common = block.mean(axis=0)
    mean_square = float(common.var(ddof=1))
    if seeds > 1:
        # the mean over seeds of an example still holds some of the luck of single answers, counted with the seeds
        rest = block - common - block.mean(axis=1, keepdims=True) + block.mean()
        mean_square -= float((rest**2).sum()) / ((seeds - 1) * (examples - 1)) / seeds
    return max(0.0, mean_square) / examples, examples - 1


def _estimate(value: float, variance: float, freedom: float, confidence: float, seeds: int) -> Estimate:
    from scipy.stats import norm, t

    if variance <= 0:
        return Estimate(value)
    level = 0.5 + confidence / 2
    half = float(norm.ppf(level) if math.isinf(freedom) else t.ppf(level, freedom)) * math.sqrt(variance)
    return Estimate(value, value - half, value + half, CROSSED if seeds > 1 else EXAMPLES)
