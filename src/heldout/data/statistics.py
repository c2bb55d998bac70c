"""Statistics of the train split by which models standardise their inputs."""

from __future__ import annotations

import numpy as np

from heldout.data.packing import next_tokens
from heldout.data.raw import RawData
from heldout.data.scratch import block_rows
from heldout.scoring import WRITTEN

Statistics = dict[str, dict[str, list[float]]]


def compute_statistics(train: RawData) -> Statistics:
    """Mean and standard deviation as `Card.statistics` holds them, in float64 and ignoring missing values."""
    if "numeric" in train.inputs:
        values = train.inputs["numeric"]
        medians = [_median(column) for column in values.T]
        return {"numeric": {**_moments(list(values.T)), "median": medians}}
    if train.task in WRITTEN:
        return {"tokens": {"count": _token_counts(next_tokens(train.inputs), train.vocabulary)}}
    if "x" not in train.inputs:
        return {}
    x = train.inputs["x"]
    if x.dtype == np.uint8:
        return {"x": _image_moments(x)}
    valid = valid_steps(train.inputs)
    return {"x": _moments([x[:, channel][valid] for channel in range(x.shape[1])])}


def target_statistics(target: np.ndarray) -> dict[str, float]:
    """Mean and standard deviation of numbers to predict; 1 for the deviation where all are equal."""
    std = float(target.std())
    return {"mean": float(target.mean()), "std": std if std > 0 else 1.0}


def valid_steps(inputs: dict[str, np.ndarray]) -> np.ndarray:
    """True where a step of a series is no padding, [n, length]."""
    n, _, steps = inputs["x"].shape
    length = inputs.get("length", np.full(n, steps))
    return np.arange(steps) < length[:, None]


def _token_counts(tokens: np.ndarray, vocabulary: int) -> list[float]:
    counts: list[float] = np.bincount(tokens[tokens >= 0], minlength=vocabulary).astype(np.float64).tolist()
    return counts


def _moments(features: list[np.ndarray]) -> dict[str, list[float]]:
    means, deviations = [], []
    for feature in features:
        known = _known(feature).astype(np.float64)
        constant = len(known) == 0 or known.min() == known.max()
        means.append(float(known.mean()) if len(known) else 0.0)
        # 1 for constant features: whoever divides by it gets zeros, not infinities
        deviations.append(1.0 if constant else float(known.std()))
    return {"mean": means, "std": deviations}


def _image_moments(x: np.ndarray) -> dict[str, list[float]]:
    """By channel, on the scale 0..1; from how often each value occurs, so that images may be more than memory holds."""
    occurring = np.zeros((x.shape[1], 256), dtype=np.int64)
    step = block_rows(x)
    for start in range(0, len(x), step):
        for channel in range(x.shape[1]):
            occurring[channel] += np.bincount(x[start : start + step, channel].reshape(-1), minlength=256)
    share = occurring / occurring.sum(axis=1, keepdims=True)
    values = np.arange(256) / 255
    means = share @ values
    deviations = np.sqrt((share * (values - means[:, None]) ** 2).sum(axis=1))
    constant = (occurring > 0).sum(axis=1) <= 1
    return {"mean": means.tolist(), "std": np.where(constant, 1.0, deviations).tolist()}


def _median(feature: np.ndarray) -> float:
    known = _known(feature)
    return float(np.median(known)) if len(known) else 0.0


def _known(feature: np.ndarray) -> np.ndarray:
    flat = feature.reshape(-1)
    return flat[~np.isnan(flat)] if flat.dtype.kind == "f" else flat
