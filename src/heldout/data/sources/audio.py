"""Recordings of the user's, wav or flac: a folder for each class, or a csv or parquet file that lists them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from heldout.config.data import AudioData, DataConfig, Differing
from heldout.data.errors import DataError, FileUnreadable, PackageMissing
from heldout.data.hashing import hash_file, hash_json
from heldout.data.mel import log_mel, resample
from heldout.data.raw import RawData
from heldout.data.sources._listing import list_files, read_each
from heldout.data.sources._registry import source
from heldout.data.sources._ts import stack
from heldout.data.sources._wav import missing_bytes

SUFFIXES = (".wav", ".flac")
# the highest value that can be written is a step below 1, 0.992 of 8 bits; that of mu-law lies lower, and its steps are
# so wide there that any loud tone rests on it
FULL_SCALE = 0.99
# so many samples in a row are clipped: a peak that just fits touches full scale once or twice
CLIPPED_RUN = 3


@source("audio")
def load(config: DataConfig) -> RawData:
    """Log-mel features of all recordings, as series of a channel a band and a step a frame.

    Raises:
        PackageMissing: soundfile is not installed.
        FileUnreadable: recordings are damaged, empty, or of another rate or more channels than asked for; the message
            names them.
    """
    if not isinstance(config, AudioData):
        raise DataError("data.source=audio needs path; expected a data file that begins with 'audio'.")
    require_soundfile()
    listing = list_files(config, SUFFIXES)
    features: list[np.ndarray] = []
    clipped: list[bool] = []

    def read(file: Path) -> tuple[np.ndarray, bool]:
        sound, too_loud = judged_sound(file, config)
        return log_mel(sound, config.mel), too_loud

    def keep(_: int, found: tuple[np.ndarray, bool]) -> None:
        features.append(found[0])
        clipped.append(found[1])

    listing = listing.take(read_each(listing, config, read, keep))
    return RawData(
        inputs=stack(Path(config.path), features, listing.ids.tolist()),
        **listing.about(),
        clipped=np.array(clipped),
        file_hash=hash_json([hash_file(file) for file in listing.files]),
        license="not stated",
        description=f"{len(features)} recordings of {Path(config.path).name}, as log-mel features.",
    )


def require_soundfile() -> None:
    """Raises PackageMissing, with the extra that brings it, where soundfile is not installed."""
    if find_spec("soundfile") is None:
        raise PackageMissing("recordings need soundfile; expected the extra `audio`: pip install 'heldout[audio]'.")


def read_sound(file: Path, config: AudioData) -> np.ndarray:
    """The samples of a file, float64 [n] between -1 and 1 at the rate of the config, cut to its longest.

    Raises:
        FileUnreadable: see `judged_sound`.
    """
    return judged_sound(file, config)[0]


def judged_sound(file: Path, config: AudioData) -> tuple[np.ndarray, bool]:
    """As `read_sound`, and whether the samples are clipped.

    Raises:
        FileUnreadable: absent, damaged, cut off, empty, or of another rate or more channels, where these are not
            converted.
    """
    import soundfile

    if not file.is_file():
        # soundfile says "System error" alone
        raise FileUnreadable(f"  {file}: there is no such file")
    try:
        samples, rate = soundfile.read(file, always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise FileUnreadable(f"  {file}: no readable recording ({error})") from None
    if missing := missing_bytes(file):
        raise FileUnreadable(f"  {file}: cut off, its header promises {missing} more bytes of samples than are there")
    if len(samples) == 0 or not np.isfinite(samples).all():
        raise FileUnreadable(f"  {file}: {len(samples)} samples, {'some' if len(samples) else 'none'} not finite")
    wanted = config.mel.sample_rate
    if config.other_format is Differing.refuse and (rate != wanted or samples.shape[1] != 1):
        raise FileUnreadable(
            f"  {file}: {rate} samples a second in {samples.shape[1]} channels, expected {wanted} "
            "(data.mel.sample_rate) in one; data.other_format=convert converts"
        )
    sound = resample(samples.mean(axis=1), rate, wanted)
    if config.max_seconds is not None:
        sound, samples = sound[: round(config.max_seconds * wanted)], samples[: round(config.max_seconds * rate)]
    # other channels and another rate would blur it
    return sound, is_clipped(samples)


def is_clipped(samples: np.ndarray) -> bool:
    """Whether samples in a row of a channel, [n, channels], stay at the highest or lowest value that can be written."""
    for wave in (*samples.T, *-samples.T):
        top = wave.max(initial=0)
        if top >= FULL_SCALE and len(wave) >= CLIPPED_RUN:
            runs = np.lib.stride_tricks.sliding_window_view(wave == top, CLIPPED_RUN)
            if runs.all(axis=1).any():
                return True
    return False
