"""How far a model's confidence is from its accuracy."""

from __future__ import annotations

import numpy as np

from heldout.predictions import Predictions


def expected_calibration_error(predictions: Predictions, bins: int) -> float:
    """Mean distance between confidence and accuracy over `bins` equal-width bins, weighted by their examples.

    Confidence is the probability of the most probable class. 0 is perfectly calibrated, 1 the worst.
    Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.
    """
    confidence = predictions.probabilities.max(axis=1).astype(np.float64)
    right = predictions.probabilities.argmax(axis=1) == predictions.target
    # bins are open below and closed above, as in the paper: 1.0 belongs to the last
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    surplus = np.bincount(index, weights=confidence - right, minlength=bins)
    return float(np.abs(surplus).sum() / len(confidence))
