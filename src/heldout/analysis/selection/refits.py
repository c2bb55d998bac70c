"""What the refits on fresh seeds say: means, the noise between seeds, and whether the winner is ahead."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from heldout.analysis.intervals import SEEDS, Estimate, mean_over_seeds
from heldout.analysis.selection.crossed import crossed_mean

PAIRED = "t interval over paired seeds"
WELCH = "t interval of Welch over seeds"


@dataclass(frozen=True)
class Lead:
    """How far the winner is ahead of the runner-up, positive where the winner is better.

    distinguishable: the interval lies above 0. That the winner was picked as the best of several does not spoil this:
    comparing it with the runner-up at the two-sided level is valid for any number of candidates (Gutmann and Maymin
    1987, Annals of Statistics 15; Hung and Fithian 2019, Annals of Statistics 47).
    """

    runner_up: int
    ahead: Estimate
    distinguishable: bool


def mean_fresh(scores: Mapping[int, float], bounds: tuple[float, float], confidence: float) -> Estimate:
    """Mean over fresh seeds, seed -> score, with Student's t interval; none with a single seed."""
    mean = mean_over_seeds(list(scores.values()), confidence)
    if mean.low is None or mean.high is None:
        return mean
    return Estimate(mean.value, max(bounds[0], mean.low), min(bounds[1], mean.high), SEEDS)


def seed_noise(scores: Mapping[int, Mapping[int, float]]) -> tuple[float, int] | None:
    """Variance between seeds within a configuration, pooled over configurations, and its degrees of freedom.

    None where no configuration has two seeds.
    """
    groups = [np.array(list(of.values())) for of in scores.values() if len(of) > 1]
    freedom = sum(len(group) - 1 for group in groups)
    if freedom == 0:
        return None
    return sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / freedom, freedom


def uneven_spreads(scores: Mapping[int, Mapping[int, float]], confidence: float) -> dict[int, float]:
    """Standard deviation between seeds by trial, where these differ by more than chance; empty where they need not.

    The test of Bartlett 1937 (Proceedings of the Royal Society A 160), at level 1 - `confidence`.
    """
    from scipy.stats import bartlett

    groups = {trial: np.array(list(of.values())) for trial, of in scores.items() if len(of) > 1}
    spreads = {trial: float(group.std(ddof=1)) for trial, group in groups.items()}
    # without any spread in one of them the test is not defined
    if len(groups) < 2 or min(spreads.values()) <= 0 or bartlett(*groups.values()).pvalue > 1 - confidence:
        return {}
    return spreads


def lead_of(
    ranking: Sequence[int],
    scores: Mapping[int, Mapping[int, float]],
    differences: np.ndarray | None,
    direction: float,
    confidence: float,
) -> Lead | None:
    """The winner against the runner-up; None with a single configuration.

    differences: winner minus runner-up by shared seed and example, [seeds, examples], where the records have them:
    then the interval is over both. Otherwise over seeds, paired where two or more are shared.
    """
    if len(ranking) < 2:
        return None
    first, second = scores[ranking[0]], scores[ranking[1]]
    shared = sorted(first.keys() & second.keys())
    if differences is not None:
        ahead = crossed_mean(direction * differences, confidence)
    elif len(shared) > 1:
        ahead = mean_over_seeds([direction * (first[seed] - second[seed]) for seed in shared], confidence)
        ahead = Estimate(ahead.value, ahead.low, ahead.high, PAIRED if ahead.method else "")
    else:
        ahead = _welch([direction * v for v in first.values()], [direction * v for v in second.values()], confidence)
    return Lead(ranking[1], ahead, ahead.width is not None and ahead.lower > 0)


def _welch(first: Sequence[float], second: Sequence[float], confidence: float) -> Estimate:
    from scipy.stats import ttest_ind

    value = float(np.mean(first) - np.mean(second))
    if min(len(first), len(second)) < 2:
        return Estimate(value)
    interval = ttest_ind(first, second, equal_var=False).confidence_interval(confidence)
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return Estimate(value)
    return Estimate(value, float(interval.low), float(interval.high), WELCH)
