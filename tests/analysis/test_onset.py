"""The onset in curves with a planted one, and in curves without."""

from __future__ import annotations

import numpy as np
import pytest

from heldout.analysis.onset import Onset, find_onset, running_median

SIMULATIONS = 150


def find(train: np.ndarray, validation: np.ndarray) -> Onset:
    epochs = np.arange(1, len(train) + 1)
    return find_onset(epochs, train, validation, confidence=0.95, smoothing=0.1, min_epochs=8)


def curves(epochs: int, onset: int | None, rise: float, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Validation loss falls to 0.5 at `onset` (or flattens out) and has risen by `rise` at the end."""
    rng = np.random.default_rng(seed)
    e = np.arange(1, epochs + 1)
    validation = 0.5 + 1.5 * np.exp(-e / (epochs / 12))
    if onset:
        validation = validation + rise * np.maximum(0, e - onset) / (epochs - onset)
    return 2 * np.exp(-e / 10), validation + noise * rng.normal(size=epochs)


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.05])
@pytest.mark.parametrize(("epochs", "onset"), [(20, 8), (40, 20), (100, 60)])
def test_a_planted_onset_is_found_where_it_was_planted(epochs: int, onset: int, noise: float) -> None:
    found = [find(*curves(epochs, onset, 0.6, noise, seed)).epoch for seed in range(SIMULATIONS)]
    hits = [epoch for epoch in found if epoch is not None]
    assert len(hits) >= 0.95 * SIMULATIONS
    # within a tenth of the epochs (the smoothing) or twice what the noise hides of the slope
    tolerance = max(2, 0.1 * epochs, 2 * noise * (epochs - onset) / 0.6)
    assert abs(np.median(hits) - onset) <= tolerance


@pytest.mark.parametrize("epochs", [12, 30, 100])
def test_curves_that_only_flatten_out_raise_no_false_alarm(epochs: int) -> None:
    alarms = [find(*curves(epochs, None, 0, 0.05, seed)).epoch is not None for seed in range(SIMULATIONS)]
    # nominal level 0.05, plus three standard errors
    assert np.mean(alarms) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / SIMULATIONS)


@pytest.mark.parametrize("epochs", [12, 30, 100])
def test_noise_around_a_level_raises_no_false_alarm(epochs: int) -> None:
    rng = np.random.default_rng(5)
    falling = 2 * np.exp(-np.arange(epochs) / 10)
    alarms = [find(falling, 1 + 0.05 * rng.normal(size=epochs)).epoch is not None for _ in range(SIMULATIONS)]
    assert np.mean(alarms) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / SIMULATIONS)


def test_a_noise_free_curve_gives_lowest_and_rise() -> None:
    train, validation = curves(40, 20, 0.6, 0.0, 0)
    onset = find(train, validation)
    assert onset.lowest == pytest.approx(validation.min(), abs=0.02)
    assert onset.final == pytest.approx(validation[-1], abs=0.05)
    assert onset.rise == pytest.approx(onset.final / onset.lowest - 1)


def test_training_that_diverges_does_not_overfit() -> None:
    _, validation = curves(40, 20, 0.6, 0.01, 0)
    onset = find(validation * 0.9, validation)
    assert onset.epoch is None
    assert "training loss rises as well" in onset.reason


def test_training_loss_at_its_floor_may_wobble() -> None:
    train, validation = curves(40, 20, 0.6, 0.01, 0)
    at_floor = np.maximum(train, 0.001) + 0.0005 * np.arange(40)
    assert find(at_floor, validation).epoch is not None


def test_a_single_spike_is_no_onset() -> None:
    train, validation = curves(40, None, 0, 0.005, 0)
    validation[30] += 3
    assert find(train, validation).epoch is None


@pytest.mark.parametrize(
    ("validation", "reason"),
    [
        (np.linspace(2, 1, 5), "5 epochs are too few to tell, 8 are needed"),
        (np.linspace(2, 1, 30), "lowest at the end"),
        (np.array([1.0] * 29 + [np.nan]), "not finite"),
    ],
)
def test_no_onset_comes_with_a_reason(validation: np.ndarray, reason: str) -> None:
    onset = find(np.linspace(2, 0, len(validation)), validation)
    assert onset.epoch is None
    assert reason in onset.reason


def test_the_running_median_keeps_the_length_and_drops_spikes() -> None:
    values = np.array([1.0, 1, 9, 1, 1])
    assert running_median(values, 3).tolist() == [1, 1, 1, 1, 1]
