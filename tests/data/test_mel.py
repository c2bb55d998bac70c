"""Log-mel features against what is known of tones and of silence."""

from __future__ import annotations

import numpy as np
import pytest

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.data import MelConfig
from heldout.config.errors import ConfigError
from heldout.data.mel import FLOOR, filters, log_mel, resample

RATE = 16000


def tone(hertz: float, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def test_frames_follow_from_window_and_hop():
    # (8000 - 400) / 160 + 1 frames of 25 ms, 10 ms apart
    assert log_mel(tone(440), MelConfig()).shape == (40, 48)
    assert log_mel(tone(440), MelConfig(mels=13, window_ms=20, hop_ms=20)).shape == (13, 25)
    assert log_mel(np.zeros(3), MelConfig()).shape == (40, 1)


@pytest.mark.parametrize("hertz", [200, 440, 1000, 3000, 6000])
def test_a_tone_is_loudest_in_the_band_around_it(hertz):
    """Bands lie at equal steps of 2595 log10(1 + f / 700), O'Shaughnessy 1987."""
    mel = 2595 * np.log10(1 + np.array([20.0, RATE / 2]) / 700)
    centres = 700 * (10 ** (np.linspace(*mel, 42)[1:-1] / 2595) - 1)
    found = log_mel(tone(hertz), MelConfig()).mean(axis=1).argmax()
    assert found == np.abs(centres - hertz).argmin() or abs(centres[found] - hertz) < 0.1 * hertz


def test_1000_hertz_are_1000_mel():
    config = MelConfig(low_hz=1000, high_hz=2000, mels=1)
    # the middle of the band is halfway between 1000 and 1521.4 mel
    top = np.fft.rfftfreq(400, 1 / RATE)[filters(config)[0].argmax()]
    assert top == pytest.approx(700 * (10 ** ((1000 + 1521.4) / 2 / 2595) - 1), abs=RATE / 400)


def test_twice_as_loud_is_four_times_the_power():
    quiet, loud = (log_mel(scale * tone(1000), MelConfig()).max() for scale in (0.1, 0.2))
    assert loud - quiet == pytest.approx(np.log(4), abs=1e-4)


def test_silence_is_the_floor():
    np.testing.assert_allclose(log_mel(np.zeros(1000), MelConfig()), np.log(FLOOR))


def test_resampling_keeps_the_tone_and_its_length():
    there = resample(tone(440, rate=44100), 44100, RATE)
    assert len(there) == 8000
    np.testing.assert_allclose(there[500:-500], tone(440)[500:-500], atol=0.01)
    assert resample(there, RATE, RATE) is there


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.mel.high_hz=9000", r"data.mel.high_hz=9000.* at most half the sample rate"),
        ("data.mel.low_hz=-1", "expected 0 or more"),
        ("data.mel.hop_ms=0.01", "expected a sample in a hop"),
    ],
)
def test_settings_that_make_no_features_are_errors_of_the_config(setting, message):
    with hydra_session(), pytest.raises(ConfigError, match=message):
        to_stage(compose_stage("prepare", ["data=spoken_digits", setting]))
