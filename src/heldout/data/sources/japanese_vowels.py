"""Japanese vowels: two vowels spoken by nine men, as series of unequal length."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from heldout.config.data import DataConfig
from heldout.data.errors import FileUnreadable
from heldout.data.raw import RawData
from heldout.data.sources._packages import package_file
from heldout.data.sources._registry import source

FOLDER = ("datasets", "data", "JapaneseVowels")


@source("japanese_vowels")
def load(config: DataConfig) -> RawData:
    """270 + 370 utterances of 12 channels and 7 to 29 steps with the publisher's test set; zeros after the end."""
    series: list[np.ndarray] = []
    labels: list[str] = []
    names: list[str] = []
    for split in ("train", "test"):
        # importing aeon would compile for seconds; the file is plain text
        found, classes = read_ts(package_file("aeon", *FOLDER, f"JapaneseVowels_{split.upper()}.ts"))
        series += found
        labels += classes
        names += [split] * len(found)
    length = np.array([one.shape[1] for one in series], dtype=np.int32)
    x = np.zeros((len(series), series[0].shape[0], length.max()), dtype=np.float32)
    for row, one in enumerate(series):
        x[row, :, : one.shape[1]] = one
    return RawData(
        ids=np.array([f"{name}-{row - names.index(name)}" for row, name in enumerate(names)]),
        inputs={"x": x, "length": length},
        target=np.array(labels),
        classes=sorted(set(labels), key=int),
        split=np.array(names),
        license="CC BY 4.0 (UCI Machine Learning Repository); shipped with aeon, BSD-3-Clause",
        citation="M. Kudo, J. Toyama and M. Shimbo: Multidimensional Curve Classification Using Passing-Through "
        "Regions. Pattern Recognition Letters 20(11-13), 1999",
        description="Linear prediction coefficients of two successive vowels; the class is the speaker, so train and "
        "test hold the same nine voices.",
    )


def read_ts(path: Path) -> tuple[list[np.ndarray], list[str]]:
    """Series float64 [channels, steps] and labels of a file in the .ts format.

    After the line `@data` each line is one example: channels separated by colons, steps by commas, the label last.

    Raises:
        FileUnreadable: there is no such line.
    """
    lines = iter(path.read_text(encoding="utf-8").splitlines())
    if not any(line.strip().lower() == "@data" for line in lines):
        raise FileUnreadable(f"{path} has no line '@data'; expected a file in the .ts format.")
    series, labels = [], []
    for line in lines:
        *channels, label = line.strip().split(":")
        series.append(np.array([channel.split(",") for channel in channels], dtype=np.float64))
        labels.append(label)
    return series, labels
