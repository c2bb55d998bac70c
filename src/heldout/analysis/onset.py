"""The onset: the epoch from which validation loss rises while training loss falls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# a rise counts when it is so many times the scatter around the trend after the minimum. The trend test alone cries
# wolf too often: the minimum was picked as the lowest point, so what follows tends upward even without a trend
_SCATTER_FACTOR = 3.0
# share of validation's rise that training loss may rise: one that has reached its floor wobbles there
_TOGETHER = 0.1
# fewest epochs after the minimum in which a trend can be told
_SHORTEST_TAIL = 4


@dataclass(frozen=True)
class Onset:
    """Where overfitting sets in.

    epoch: last epoch at the lowest level of validation loss, from where it rises; None when it does not.
    lowest, final: validation loss, smoothed, at its lowest and at the end; rise: final / lowest - 1.
    reason: in words, why there is no onset; empty when there is one.
    """

    epoch: int | None
    lowest: float | None = None
    final: float | None = None
    rise: float | None = None
    reason: str = ""


def find_onset(
    epochs: np.ndarray,
    train_loss: np.ndarray,
    validation_loss: np.ndarray,
    confidence: float,
    smoothing: float,
    min_epochs: int,
) -> Onset:
    """Look for the onset in two loss curves over the same `epochs`, each [n].

    The curves are smoothed by a centred running median over the share `smoothing` of the epochs. There is an
    onset when, after the minimum of the smoothed validation loss, (1) the validation loss has a rising trend
    by Kendall's rank test at level 1 - `confidence` (Mann 1945), (2) it ends above the minimum by three
    times its scatter around that trend, and (3) the training loss does not rise with it: when both rise,
    training diverges and does not overfit. The epoch found may be off by half the width of the running
    median.
    """
    from scipy.stats import kendalltau

    if len(epochs) < min_epochs:
        return Onset(None, reason=f"{len(epochs)} epochs are too few to tell, {min_epochs} are needed")
    if not (np.isfinite(train_loss).all() and np.isfinite(validation_loss).all()):
        return Onset(None, reason="a loss is not finite")
    window = max(3, round(smoothing * len(epochs))) | 1
    train, validation = running_median(train_loss, window), running_median(validation_loss, window)
    start = int(validation.argmin())
    lowest, final = float(validation[start]), float(validation[-1])
    levels = (lowest, final, final / lowest - 1 if lowest > 0 else None)
    tail = validation_loss[start + 1 :]
    if len(tail) < _SHORTEST_TAIL:
        return Onset(None, *levels, "validation loss is lowest at the end")
    rising = kendalltau(np.arange(len(tail)), tail, alternative="greater").pvalue < 1 - confidence
    if not rising or final - lowest <= _SCATTER_FACTOR * _scatter(tail):
        return Onset(None, *levels, "validation loss does not rise beyond its noise")
    if train[-1] - train[start] > _TOGETHER * (final - lowest):
        return Onset(None, *levels, "training loss rises as well")
    at_lowest = validation <= lowest + _noise(validation_loss) / np.sqrt(window)
    return Onset(int(epochs[np.flatnonzero(at_lowest)[-1]]), *levels)


def running_median(values: np.ndarray, window: int) -> np.ndarray:
    """Centred running median over an odd `window`; shorter at both ends so that no epoch is lost."""
    half = window // 2
    return np.array([np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])


def _scatter(values: np.ndarray) -> float:
    """Standard deviation around the straight line fitted to `values` by least squares."""
    steps = np.arange(len(values))
    residuals = values - np.polyval(np.polyfit(steps, values, 1), steps)
    return float(residuals.std(ddof=2))


def _noise(values: np.ndarray) -> float:
    """Standard deviation of the epoch-to-epoch noise, from second differences, which a trend leaves near 0.

    Scaled from the median absolute value so that a few jumps do not count.
    """
    return float(1.4826 * np.median(np.abs(np.diff(values, 2))) / np.sqrt(6))
