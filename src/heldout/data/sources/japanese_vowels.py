"""Japanese vowels: two vowels spoken by nine men, as series of unequal length."""

from __future__ import annotations

from heldout.config.data import DataConfig
from heldout.data.raw import RawData
from heldout.data.sources._archive import load_archive
from heldout.data.sources._registry import source


@source("japanese_vowels")
def load(config: DataConfig) -> RawData:
    """270 + 370 utterances of 12 channels and 7 to 29 steps with the publisher's test set; zeros after the end."""
    return load_archive(
        "JapaneseVowels",
        license="CC BY 4.0 (UCI Machine Learning Repository); shipped with aeon, BSD-3-Clause",
        citation="M. Kudo, J. Toyama and M. Shimbo: Multidimensional Curve Classification Using Passing-Through "
        "Regions. Pattern Recognition Letters 20(11-13), 1999",
        description="Linear prediction coefficients of two successive vowels; the class is the speaker, so train and "
        "test hold the same nine voices.",
    )
