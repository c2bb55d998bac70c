"""Confidence intervals. scipy and statsmodels are imported where used: they take seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

# resamples times examples held in memory at once by the bootstrap
BATCH_ELEMENTS = 4_000_000

BOOTSTRAP = "bootstrap over examples"
NEWCOMBE = "Newcombe score interval"
WILSON = "Wilson score interval"
SEEDS = "t interval over seeds"


@dataclass(frozen=True)
class Estimate:
    """A value and its confidence interval; `low` and `high` are None where the data allow none.

    `method` says in words how the interval was made.
    """

    value: float
    low: float | None = None
    high: float | None = None
    method: str = ""

    @property
    def lower(self) -> float:
        """The lower end of the interval, or the value where there is none."""
        return self.value if self.low is None else self.low

    @property
    def upper(self) -> float:
        """The upper end of the interval, or the value where there is none."""
        return self.value if self.high is None else self.high

    @property
    def width(self) -> float | None:
        """Length of the interval, None without one."""
        return None if self.low is None or self.high is None else self.high - self.low


def proportion(successes: float, n: int, confidence: float) -> Estimate:
    """Share `successes` / n with the score interval of Wilson 1927; never empty, not even at 0 or 1."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(successes, n, alpha=1 - confidence, method="wilson")
    return Estimate(successes / n, float(low), float(high), WILSON)


def proportion_difference(first: float, n_first: int, second: float, n_second: int, confidence: float) -> Estimate:
    """Difference of two independent shares; the arguments are counts of successes and trials.

    Newcombe 1998, method 10: the score intervals of both shares combined.
    """
    from statsmodels.stats.proportion import confint_proportions_2indep

    low, high = confint_proportions_2indep(
        first, n_first, second, n_second, method="newcomb", compare="diff", alpha=1 - confidence
    )
    value = first / n_first - second / n_second
    return Estimate(value, float(min(low, value)), float(max(high, value)), NEWCOMBE)


def mean_difference(
    first: np.ndarray, second: np.ndarray, confidence: float, samples: int, rng: np.random.Generator
) -> Estimate:
    """Mean of `first` minus mean of `second` with a percentile bootstrap interval.

    The two sets of examples are resampled independently. Efron and Tibshirani 1993, chapters 8 and 13.
    """
    from scipy.stats import bootstrap

    interval = bootstrap(
        (first, second),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        n_resamples=samples,
        batch=max(1, BATCH_ELEMENTS // (len(first) + len(second))),
        vectorized=True,
        method="percentile",
        confidence_level=confidence,
        rng=rng,
    ).confidence_interval
    value = float(first.mean() - second.mean())
    return Estimate(value, float(interval.low), float(interval.high), BOOTSTRAP)


def mean_of_examples(values: np.ndarray, confidence: float, samples: int, rng: np.random.Generator) -> Estimate:
    """Mean of `values` [examples] with a percentile bootstrap interval over examples."""
    from scipy.stats import bootstrap

    value = float(values.mean())
    # nothing to draw from
    if len(values) < 2 or values.min() == values.max():
        return Estimate(value)
    interval = bootstrap(
        (values,),
        np.mean,
        n_resamples=samples,
        batch=max(1, BATCH_ELEMENTS // len(values)),
        vectorized=True,
        method="percentile",
        confidence_level=confidence,
        rng=rng,
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high), BOOTSTRAP)


def mean_over_seeds(values: Sequence[float], confidence: float) -> Estimate:
    """Mean of one value a seed, with Student's t interval; no interval when all are the same or there is one.

    The interval answers how the mean moves with new seeds on the same examples, not on new examples.
    """
    from scipy.stats import t

    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    error = float(array.std(ddof=1) / np.sqrt(len(array))) if len(array) > 1 else 0.0
    if error <= 1e-12 * max(1.0, abs(mean)):
        return Estimate(mean)
    half = float(t.ppf(0.5 + confidence / 2, len(array) - 1)) * error
    return Estimate(mean, mean - half, mean + half, SEEDS)


def over_seeds(values: Sequence[Estimate], confidence: float) -> Estimate:
    """The mean of these, one a seed, with an interval over seeds; where they do not differ, the first one's own."""
    mean = mean_over_seeds([estimate.value for estimate in values], confidence)
    if mean.method:
        return mean
    why = "one seed" if len(values) == 1 else "all seeds agree"
    return replace(values[0], method=f"{values[0].method} ({why})")
