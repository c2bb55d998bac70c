"""How much each searched setting mattered for the objective, and whether the trials allow to say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heldout.analysis.intervals import Estimate
from heldout.analysis.selection.tables import PARAMETER, Sweep

if TYPE_CHECKING:
    import pandas as pd

PERMUTATION = "permutation importance on trials left out, over bootstraps of the trials"
# a forest of fewer trials, or of fewer for each setting, sees patterns in noise
FEWEST_TRIALS = 12
FEWEST_PER_PARAMETER = 3
# share of the variance of the ranks below which the settings explain nothing that could be divided among them
LEAST_EXPLAINED = 0.1
BOOTSTRAPS = 20
TREES = 50
SHUFFLES = 3
# positive numbers over so large a ratio are better told apart by their logarithm
LOG_RATIO = 20.0
# an even spread has its median in the middle; one that is even by logarithm, over LOG_RATIO, at 0.18
MEDIAN_OF_LOGARITHMIC = 0.25


@dataclass(frozen=True)
class Importance:
    """Importances by setting, most important first; empty, with the reason, where the trials do not allow to say.

    An importance is the share of the variance of the trials' ranks that a forest loses when the setting is shuffled.
    explained: the share it explains of trials that it was not fitted on.
    """

    by_parameter: dict[str, Estimate]
    explained: float | None
    reason: str = ""


def importance(sweep: Sweep, confidence: float, seed: int) -> Importance:
    """Importance of each setting that varies, from the finished trials.

    Permutation importance (Breiman 2001, Machine Learning 45) of a random forest on the trials that a bootstrap left
    out, for the ranks of the objective: one diverged trial should not decide. The interval is over bootstraps. Settings
    that matter only together share their importance; a setting that does not apply to a trial counts as a value of it.
    """
    trials = sweep.trials[(sweep.trials["status"] == "finished") & np.isfinite(sweep.trials["objective"].astype(float))]
    keys = [key for key in sweep.parameters if trials[PARAMETER + key].nunique(dropna=False) > 1]
    needed = max(FEWEST_TRIALS, FEWEST_PER_PARAMETER * len(keys))
    if not keys:
        return Importance({}, None, "no setting differs between the finished trials")
    if len(trials) < needed:
        return Importance({}, None, f"too few trials to say: {len(trials)} finished, {needed} are needed")
    inputs = np.column_stack([_as_numbers(trials[PARAMETER + key]) for key in keys])
    ranks = trials["objective"].astype(float).rank().to_numpy()
    scores, lost = _bootstrap(inputs, ranks, np.random.RandomState(seed))
    explained = float(np.mean(scores))
    if explained < LEAST_EXPLAINED:
        reason = "the settings explain next to nothing of how the trials rank: what there is of a pattern may be chance"
        return Importance({}, explained, reason)
    ends = np.quantile(lost, [0.5 - confidence / 2, 0.5 + confidence / 2], axis=0)
    found = {
        key: Estimate(float(lost[:, i].mean()), float(ends[0, i]), float(ends[1, i]), PERMUTATION)
        for i, key in enumerate(keys)
    }
    return Importance(dict(sorted(found.items(), key=lambda item: -item[1].value)), explained)


def is_logarithmic(values: pd.Series) -> bool:
    """Whether numbers are better shown by their logarithm: positive, far apart, and most of them near the lower end."""
    from pandas.api.types import is_numeric_dtype

    known = values.dropna()
    if not is_numeric_dtype(known) or known.empty or known.min() <= 0 or known.max() <= LOG_RATIO * known.min():
        return False
    return bool(known.median() - known.min() < MEDIAN_OF_LOGARITHMIC * (known.max() - known.min()))


def _as_numbers(values: pd.Series) -> np.ndarray:
    """Numbers, or their order where a tree sees no difference, with what is not set below all others."""
    from pandas.api.types import is_numeric_dtype

    if not is_numeric_dtype(values):
        return np.asarray(values.astype("category").cat.codes, dtype=float)
    numbers = values.astype(float)
    return np.asarray(numbers.fillna(numbers.min() - 1))


def _bootstrap(inputs: np.ndarray, ranks: np.ndarray, rng: np.random.RandomState) -> tuple[list[float], np.ndarray]:
    """Share explained of the trials left out, by bootstrap, and what it loses by shuffling, [bootstraps, settings]."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    scores, lost = [], []
    for _ in range(BOOTSTRAPS):
        drawn = rng.randint(len(ranks), size=len(ranks))
        left_out = np.setdiff1d(np.arange(len(ranks)), drawn)
        if len(left_out) < 2:
            continue
        forest = RandomForestRegressor(TREES, min_samples_leaf=2, random_state=rng, n_jobs=1).fit(
            inputs[drawn], ranks[drawn]
        )
        scores.append(float(forest.score(inputs[left_out], ranks[left_out])))
        shuffled = permutation_importance(
            forest, inputs[left_out], ranks[left_out], n_repeats=SHUFFLES, random_state=rng, n_jobs=1
        )
        lost.append(shuffled.importances_mean)
    return scores, np.array(lost)
