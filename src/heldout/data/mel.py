"""Sound as log-mel features: how strong each band of frequencies is, frame by frame."""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np

from heldout.config.data import MelConfig

# power below which all is silence: the logarithm needs an end
FLOOR = 1e-10


def log_mel(samples: np.ndarray, config: MelConfig) -> np.ndarray:
    """Samples float [n] between -1 and 1 at `config.sample_rate` -> natural logarithm of power, float32 [mels, frames].

    Hann windows, squared magnitudes of their Fourier transform, triangular bands on the mel scale. A sound shorter than
    a window is continued by silence.
    """
    window, hop = window_and_hop(config)
    samples = np.pad(samples, (0, max(0, window - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(window), axis=1)) ** 2 / window
    mel = power @ filters(config).T
    return np.asarray(np.log(np.maximum(mel, FLOOR)).T, np.float32)


def filters(config: MelConfig) -> np.ndarray:
    """Weights float [mels, frequencies of a window]: triangles whose corners are equally far apart in mel."""
    window, _ = window_and_hop(config)
    frequencies = np.fft.rfftfreq(window, 1 / config.sample_rate)
    high = config.high_hz or config.sample_rate / 2
    corners = _to_hertz(np.linspace(_to_mel(config.low_hz), _to_mel(high), config.mels + 2))
    low, middle, top = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (frequencies - low) / (middle - low), (top - frequencies) / (top - middle)
    return np.asarray(np.clip(np.minimum(rising, falling), 0, None))


def window_and_hop(config: MelConfig) -> tuple[int, int]:
    """Samples of a frame, and from one frame to the next."""
    return round(config.window_ms * config.sample_rate / 1000), round(config.hop_ms * config.sample_rate / 1000)


def resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """The same sound at another rate, by a polyphase filter."""
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly

    common = gcd(rate, wanted)
    up, down = wanted // common, rate // common
    return np.asarray(resample_poly(samples, up, down, window=_low_pass(max(up, down))))


@lru_cache(maxsize=8)
def _low_pass(factor: int) -> np.ndarray:
    """The filter that `resample_poly` would design anew for each recording."""
    from scipy.signal import firwin

    return np.asarray(firwin(20 * factor + 1, 1 / factor, window=("kaiser", 5.0)))


def _to_mel(hertz: float) -> float:
    # O'Shaughnessy 1987: Speech Communication
    return float(2595 * np.log10(1 + hertz / 700))


def _to_hertz(mel: np.ndarray) -> np.ndarray:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
