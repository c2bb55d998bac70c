"""Sets of the UCR and UEA archives that ship with aeon, with the archive's own test set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from heldout.data.raw import RawData
from heldout.data.sources._labels import ordered
from heldout.data.sources._packages import package_file
from heldout.data.sources._ts import read_ts, stack


def load_archive(name: str, **about: Any) -> RawData:
    """The set of that name; `about` gives licence, citation and description.

    Raises:
        FileUnreadable: aeon is not installed, or lacks the set.
    """
    series: list[np.ndarray] = []
    labels: list[str] = []
    ids: list[str] = []
    split: list[str] = []
    for part in ("train", "test"):
        found = read_ts(package_file("aeon", "datasets", "data", name, f"{name}_{part.upper()}.ts"))
        series += found.series
        labels += found.labels
        ids += [f"{part}-{row}" for row in range(len(found.labels))]
        split += [part] * len(found.labels)
    return RawData(
        ids=np.array(ids),
        inputs=stack(Path(name), series, ids),
        target=np.array(labels),
        classes=ordered(sorted(set(labels))),
        split=np.array(split),
        **about,
    )
