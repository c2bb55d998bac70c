"""What luck alone does to a sweep: it is run again and again on paper, with configurations as good as they seem."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heldout.analysis.intervals import Estimate
from heldout.analysis.selection.competition import Field, Noise, draw_field

SIMULATED = "sweep simulated with the estimated noise; interval over the uncertainty of noise and of the configurations"

REPEATS = 200
# a configuration so many standard deviations of the noise below the best cannot become the best
OUT_OF_REACH = 12.0


@dataclass(frozen=True)
class Design:
    """How a sweep chooses: the best `refitted` trials are fitted again on `seeds` fresh seeds each.

    pruned: trials that were stopped early and might have competed.
    """

    refitted: int
    seeds: int
    pruned: int = 0


@dataclass(frozen=True)
class Luck:
    """Drops to expect from choosing the best alone, in units of the score, positive where the score gets worse.

    to_fresh: from the best score seen to the same configuration's mean on fresh seeds, averaged over sweeps like this
    one; to_fresh_most: what one such sweep exceeds with probability (1 - confidence) / 2, the luck of the fresh seeds
    included. to_test: from the winner's mean on fresh seeds to what it is worth on new examples; None where the luck
    of examples is not known.
    """

    to_fresh: Estimate
    to_fresh_most: float
    to_test: Estimate | None


def expected_luck(
    scores: np.ndarray, noise: Noise, design: Design, confidence: float, rng: np.random.Generator
) -> Luck:
    """Luck of a sweep whose competitors showed `scores` [configurations], more being better.

    A parametric simulation (Efron and Tibshirani 1993, chapter 6) of the whole choice, best of n and best of the
    refitted, with true means drawn from their posterior. `design.pruned` further competitors are drawn from the same
    means: pruned trials were not better than those that were let finish, so this is as far as they can go.
    """
    reach = scores >= scores.max() - OUT_OF_REACH * np.sqrt(noise.of_trial)
    field = draw_field(scores, noise, rng)
    means = field.means[:, reach]
    if design.pruned:
        drawn = rng.integers(field.means.shape[1], size=(len(means), design.pruned))
        means = np.concatenate([means, np.take_along_axis(field.means, drawn, axis=1)], axis=1)
    drops = np.stack([_simulate(Field(means, field.seed_variance), noise, design, rng) for _ in range(REPEATS)])
    single = drops[:, 0].ravel()
    return Luck(
        to_fresh=_summary(drops[:, 0].mean(axis=0), confidence),
        to_fresh_most=float(np.quantile(single, 0.5 + confidence / 2)),
        to_test=_summary(drops[:, 1].mean(axis=0), confidence) if noise.examples > 0 else None,
    )


def _simulate(field: Field, noise: Noise, design: Design, rng: np.random.Generator) -> np.ndarray:
    """One sweep for each draw of the field: its drops to fresh seeds and to test, [2, draws]."""
    shape = field.means.shape
    on_validation = field.means + np.sqrt(noise.examples) * rng.standard_normal(shape)
    spread = np.sqrt(field.seed_variance)[:, None]
    seen = on_validation + spread / np.sqrt(noise.fits) * rng.standard_normal(shape)
    refitted = min(design.refitted, shape[1])
    top = np.argpartition(-seen, refitted - 1, axis=1)[:, :refitted]
    fresh = np.take_along_axis(on_validation, top, axis=1)
    fresh = fresh + spread / np.sqrt(design.seeds) * rng.standard_normal(fresh.shape)
    shown = np.take_along_axis(seen, top, axis=1)
    draws = np.arange(len(seen))
    leader, winner = shown.argmax(axis=1), fresh.argmax(axis=1)
    worth = field.means[draws, top[draws, winner]]
    return np.stack([shown[draws, leader] - fresh[draws, leader], fresh[draws, winner] - worth])


def _summary(means: np.ndarray, confidence: float) -> Estimate:
    """Median and central interval of the expectations: a mean would be swayed by rare draws of a huge noise."""
    low, middle, high = np.quantile(means, [0.5 - confidence / 2, 0.5, 0.5 + confidence / 2])
    return Estimate(float(middle), float(low), float(high), SIMULATED)
