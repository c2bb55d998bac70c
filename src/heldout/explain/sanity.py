"""Do attributions depend on what a network has learned?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from heldout.explain.methods import Attributions

# networks of random weights that a trained one is compared with
DRAWS = 3


def random_networks(build: Callable[[], nn.Module], seed: int) -> list[nn.Module]:
    """Networks as they were before training, each from other initial weights."""
    networks = []
    for draw in range(DRAWS):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence([seed, draw]).generate_state(1)[0]))
            networks.append(build().eval())
    return networks


def rank_correlation(one: Attributions, other: Attributions, valid: int | None = None) -> float | None:
    """Spearman's rank correlation of the sizes of two attributions of one example; None where one is constant.

    The model parameter randomisation test of Adebayo et al. 2018 (arXiv 1810.03292), section 3: between attributions
    by a trained and by a random network it is near 0 where they depend on what was learned, near 1 where they show the
    example whatever the network.

    valid: steps or tokens that are no padding.
    """
    from scipy.stats import spearmanr

    first, second = (_flat(of, valid) for of in (one, other))
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(spearmanr(first, second).statistic)


def mean_of(correlations: Sequence[float | None]) -> float | None:
    """The mean of those that there are."""
    known = [value for value in correlations if value is not None]
    return float(np.mean(known)) if known else None


def _flat(attributions: Attributions, valid: int | None) -> np.ndarray:
    parts = [np.abs(of[..., :valid] if name in ("x", "tokens") else of).ravel() for name, of in attributions.items()]
    return np.concatenate(parts)
