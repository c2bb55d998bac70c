"""Digits spoken by espeak-ng: artificial voices, many speakers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from heldout.config.data import DataConfig, SpokenDigitsData
from heldout.data.errors import DataError
from heldout.data.mel import log_mel, resample
from heldout.data.raw import RawData
from heldout.data.sources._espeak import Utterance, speak
from heldout.data.sources._registry import source
from heldout.data.sources._ts import stack

# variants of a voice that espeak-ng 1.51 and 1.52 have: throats and tempers, each a speaker
SPEAKERS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "adam", "anika", "antonio"),
    *("aunty", "belinda", "boris", "caleb", "david", "ed", "edward", "grandma", "grandpa", "gustave", "ian", "iven"),
    *("john", "linda", "marcelo", "max", "michel", "miguel", "norbert", "pablo", "paul", "quincy", "rob", "robert"),
)
ACCENTS = ("en-us", "en-gb-scotland")
DIGITS = tuple(str(digit) for digit in range(10))
# words a minute and pitch of each take
TAKES = ((150, 45), (180, 55))
LOUDEST = 1 << 15


@source("spoken_digits")
def load(config: DataConfig) -> RawData:
    """Log-mel features of ten digits, twice by each speaker; the group is the speaker.

    Raises:
        PackageMissing: espeak-ng is not installed.
    """
    if not isinstance(config, SpokenDigitsData):
        raise DataError("data.source=spoken_digits needs speakers and mel; expected data=spoken_digits.")
    if not 0 < config.speakers <= len(SPEAKERS):
        raise DataError(f"data.speakers={config.speakers}: expected 1 to {len(SPEAKERS)}, as many as there are.")
    said = [
        (speaker, digit, take, Utterance(digit, f"{ACCENTS[number % len(ACCENTS)]}+{speaker}", *TAKES[take]))
        for number, speaker in enumerate(SPEAKERS[: config.speakers])
        for take in range(len(TAKES))
        for digit in DIGITS
    ]
    sounds, rate = speak([utterance for *_, utterance in said])
    features = [log_mel(resample(one / LOUDEST, rate, config.mel.sample_rate), config.mel) for one in sounds]
    ids = [f"{speaker}-{digit}-{take}" for speaker, digit, take, _ in said]
    return RawData(
        ids=np.array(ids),
        inputs=stack(Path("spoken_digits"), features, ids),
        target=np.array([digit for _, digit, *_ in said]),
        classes=list(DIGITS),
        group=np.array([speaker for speaker, *_ in said]),
        license="free: made by espeak-ng, GPL-3, whose licence does not extend to what it says",
        citation="espeak-ng, github.com/espeak-ng/espeak-ng",
        description="English digits by artificial speakers; no speaker is in two splits.",
    )
