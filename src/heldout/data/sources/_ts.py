"""Series in the .ts format of the UCR and UEA archives, and series as arrays of one shape."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from heldout.data.errors import FileUnreadable

MISSING_VALUE = "?"


@dataclass(frozen=True)
class Labelled:
    """Series float64 [channels, steps], NaN where a value is missing, and the class of each."""

    series: list[np.ndarray]
    labels: list[str]


def read_ts(path: Path) -> Labelled:
    """The series of a file. Importing aeon for it would compile for seconds; the file is plain text.

    After the line `@data` each line is one example: channels separated by colons, steps by commas, the label last.

    Raises:
        FileUnreadable: absent, no such file, with time stamps, without classes, or a line is malformed.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise FileUnreadable(f"{path}: {error.strerror}; expected a file in the .ts format.") from None
    except UnicodeDecodeError as error:
        raise FileUnreadable(f"{path} is no text in UTF-8 ({error}); expected a file in the .ts format.") from None
    begin = next((number for number, line in enumerate(lines) if line.strip().lower() == "@data"), None)
    if begin is None:
        raise FileUnreadable(f"{path} has no line '@data'; expected a file in the .ts format.")
    _check_header(path, lines[:begin])
    found = Labelled([], [])
    for number, line in enumerate(lines[begin + 1 :], start=begin + 2):
        if line.strip():
            *channels, label = line.strip().split(":")
            found.series.append(_channels(path, number, channels))
            found.labels.append(label.strip())
    return found


def stack(path: Path, series: list[np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
    """The inputs `x` float32 [n, channels, longest], zeros after the end of a series, and `length` where they differ.

    Raises:
        FileUnreadable: the series differ in their number of channels, or one has no step; `names` says which.
    """
    channels = series[0].shape[0]
    length = np.array([one.shape[1] for one in series], dtype=np.int32)
    for name, one in zip(names, series, strict=True):
        if one.shape[0] != channels or one.shape[1] == 0:
            raise FileUnreadable(
                f"{path}: series '{name}' has {one.shape[0]} channels and {one.shape[1]} steps, '{names[0]}' has "
                f"{channels} channels; expected the same channels and at least one step in each."
            )
    x = np.zeros((len(series), channels, length.max()), dtype=np.float32)
    for row, one in enumerate(series):
        x[row, :, : one.shape[1]] = one
    return {"x": x} if (length == length[0]).all() else {"x": x, "length": length}


def _check_header(path: Path, lines: list[str]) -> None:
    said = dict(line.strip().lower().split(maxsplit=1) for line in lines if line.startswith("@") and " " in line)
    if said.get("@timestamps", "false") != "false":
        raise FileUnreadable(f"{path} has time stamps; expected series at regular steps, with '@timeStamps false'.")
    if said.get("@classlabel", "true").split()[0] != "true":
        raise FileUnreadable(f"{path} has no classes ('@classLabel false'); expected a file for classification.")


def _channels(path: Path, number: int, channels: list[str]) -> np.ndarray:
    try:
        values = [[_number(value) for value in channel.split(",")] for channel in channels]
        steps = [len(channel) for channel in values]
        if len(set(steps)) > 1:
            raise ValueError(f"its channels have {', '.join(map(str, steps))} steps")
        return np.array(values, dtype=np.float64).reshape(len(channels), -1)
    except ValueError as error:
        raise FileUnreadable(
            f"{path}, line {number}: {error}; expected channels of equal length, separated by colons, their steps "
            f"numbers separated by commas, '{MISSING_VALUE}' for a missing one, and the class at the end."
        ) from None


def _number(text: str) -> float:
    return np.nan if text.strip() == MISSING_VALUE else float(text)
