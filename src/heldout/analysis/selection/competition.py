"""How good the competing configurations are without their luck, as far as one noisy score each can tell.

A score is what the configuration would reach on average plus luck, ``score = mean + noise``. The variance of the noise
is measured elsewhere (on refits); here it is known up to the uncertainty of that measurement. The means are unknown;
they come from a mixture that is flexible enough for what sweeps look like: a crowd near the top and a tail of settings
that did not work. It has `COMPONENTS` normal components, any of which may have no spread at all (configurations that
are equally good), and a uniform background for single ones that stand apart. Drawing from the posterior
needs no correction for having looked at the best of many: Bayesian inference is not affected by selection (Dawid 1994,
Selection paradoxes of Bayesian inference; Efron 2011, Tweedie's formula and selection bias, JASA 106).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

COMPONENTS = 2
# of a component: that its configurations are all equally good
EQUAL = 0.5
# the background is at least so wide, in standard deviations of the noise: it should not compete with a crowd
BACKGROUND_WIDTH = 20.0

CHAINS = 100
WARM_UP = 150
THINNING = 10
DRAWS_PER_CHAIN = 6


@dataclass(frozen=True)
class Noise:
    """Variance of a score around the mean of its configuration, with the degrees of freedom it was estimated from.

    seed_variance is that of a single fit; a trial's score is the mean of `fits`. examples: the part of the variance,
    known, that comes from the luck of the examples rather than the seed.
    """

    seed_variance: float
    freedom: float
    examples: float = 0.0
    fits: int = 1

    @property
    def of_trial(self) -> float:
        """Variance of a trial's score."""
        return self.seed_variance / self.fits + self.examples

    def draw(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Draws of the seed's variance [size] from its scaled inverse chi-square posterior."""
        return np.asarray(self.seed_variance * self.freedom / rng.chisquare(self.freedom, size))


@dataclass(frozen=True)
class Field:
    """Draws from the posterior: means [draws, configurations] and the seed's variance [draws] that goes with each."""

    means: np.ndarray
    seed_variance: np.ndarray


def draw_field(scores: np.ndarray, noise: Noise, rng: np.random.Generator) -> Field:
    """Draws of the means behind `scores` [configurations] by Gibbs sampling (Gelman et al. 2013, chapters 11 and 22).

    The variance of the noise is drawn from its own measurement and left alone: the scores, whose spread mixes luck and
    merit, should not decide how much of it is luck.
    """
    seed_variance = noise.draw(CHAINS, rng)
    drawn = list(_chains(scores, seed_variance / noise.fits + noise.examples, noise.of_trial, rng))
    return Field(np.concatenate(drawn), np.tile(seed_variance, len(drawn)))


def _chains(scores: np.ndarray, variance: np.ndarray, typical: float, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Draws of the means [CHAINS, configurations] of CHAINS chains side by side, one in THINNING after WARM_UP."""
    low, high = float(scores.min()), float(scores.max())
    background = 1 / max(high - low, BACKGROUND_WIDTH * np.sqrt(typical))
    shape = (CHAINS, COMPONENTS)
    centre = rng.choice(scores, shape)
    # share of the noise in the variance of a component: 1 where its configurations are equally good
    shrink = np.where(rng.random(shape) < EQUAL, 1.0, rng.random(shape))
    weight = np.full((CHAINS, COMPONENTS + 1), 1 / (COMPONENTS + 1))
    for step in range(WARM_UP + DRAWS_PER_CHAIN * THINNING):
        spread = np.sqrt(variance[:, None] / shrink)
        member = _assign(scores, centre, spread, weight, background, rng)
        counts = member.sum(axis=1)
        inside, n = member[..., :COMPONENTS], counts[:, :COMPONENTS]
        average = (inside * scores[:, None]).sum(axis=1) / np.maximum(n, 1)
        around = average + spread / np.sqrt(np.maximum(n, 1)) * rng.standard_normal(shape)
        centre = np.where(n > 0, around, rng.uniform(low, high, shape))
        squares = (inside * (scores[:, None] - centre[:, None]) ** 2).sum(axis=1)
        shrink = _draw_shrink(n, squares / variance[:, None], rng)
        gamma = rng.standard_gamma(counts + 1 / COMPONENTS) + np.finfo(float).tiny
        weight = gamma / gamma.sum(axis=1, keepdims=True)
        if step >= WARM_UP and (step - WARM_UP) % THINNING == 0:
            yield _draw_means(scores, member, centre, shrink, variance, rng)


def _assign(
    scores: np.ndarray,
    centre: np.ndarray,
    spread: np.ndarray,
    weight: np.ndarray,
    background: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw the component of each score, the last being the background: bool [chains, scores, components]."""
    away = (scores[:, None] - centre[:, None]) / spread[:, None]
    density = np.exp(-0.5 * away**2) / (np.sqrt(2 * np.pi) * spread[:, None]) * weight[:, None, :COMPONENTS]
    uniform = np.broadcast_to(weight[:, None, COMPONENTS:] * background, (*density.shape[:2], 1))
    cumulative = np.concatenate([density, uniform], axis=2).cumsum(axis=2)
    chosen = (rng.random((*density.shape[:2], 1)) * cumulative[..., -1:] > cumulative[..., :-1]).sum(axis=2)
    return np.asarray(chosen[..., None] == np.arange(COMPONENTS + 1))


def _draw_shrink(n: np.ndarray, squares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw the share of the noise in the variance of each component, from its `n` scores and their squares over noise.

    Uniform between 0 and 1 beforehand (as Strawderman 1971 and Daniels 1999 advise), or exactly 1 with probability
    EQUAL: a gamma distribution cut off at 1, and a point mass there.
    """
    from scipy.special import gammainc, gammaincinv, gammaln

    shape, rate = n / 2 + 1, squares / 2 + 1e-12
    below = np.maximum(gammainc(shape, rate), np.finfo(float).tiny)
    log_odds = np.log((1 - EQUAL) / EQUAL) + gammaln(shape) + np.log(below) - shape * np.log(rate) + rate
    equal = rng.random(n.shape) < 1 / (1 + np.exp(np.clip(log_odds, -700, 700)))
    drawn = gammaincinv(shape, rng.random(n.shape) * below) / rate
    return np.where(equal, 1.0, np.clip(drawn, 1e-9, 1.0))


def _draw_means(
    scores: np.ndarray,
    member: np.ndarray,
    centre: np.ndarray,
    shrink: np.ndarray,
    variance: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Means given their component: drawn towards its centre by `shrink`; those of the background are left in place."""
    inside = member[..., :COMPONENTS]
    by = (inside * shrink[:, None]).sum(axis=2)
    towards = (inside * (shrink * centre)[:, None]).sum(axis=2)
    error = np.sqrt((1 - by) * variance[:, None])
    return np.asarray((1 - by) * scores + towards + error * rng.standard_normal(by.shape))
