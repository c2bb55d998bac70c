"""What all sources of texts with translations have in common."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

import numpy as np

from heldout.config.data import Unreadable
from heldout.data.errors import ColumnUnusable, shown
from heldout.data.pairs import alike
from heldout.data.raw import RawData

log = logging.getLogger(__name__)

_LETTER_OR_DIGIT = re.compile(r"\w")


def raw_pairs(
    ids: Sequence[str] | np.ndarray,
    texts: Sequence[str],
    translations: Sequence[str],
    license: str = "",
    citation: str = "",
    description: str = "",
    file_hash: str = "",
) -> RawData:
    """Pairs of texts, each pair once; those whose texts are alike are of one group, which a split keeps together."""
    first: dict[tuple[str, str], int] = {}
    for row, pair in enumerate(zip(texts, translations, strict=True)):
        first.setdefault(pair, row)
    raw = RawData(
        ids=np.array(ids),
        inputs={},
        texts=np.array(texts, dtype=object),
        translations=np.array(translations, dtype=object),
        target=np.zeros(len(texts)),
        classes=[],
        group=np.array([alike(text) for text in texts]),
        license=license,
        citation=citation,
        description=description,
        file_hash=file_hash,
    )
    return raw.take(np.array(list(first.values()), dtype=np.int64))


def without_empty(raw: RawData, path: str, empty: Unreadable) -> RawData:
    """Without the pairs of which a side has neither letter nor digit.

    Raises:
        ColumnUnusable: there are such pairs and the config does not leave them out, or there are no others.
    """
    assert raw.texts is not None
    assert raw.translations is not None
    sides = [[_LETTER_OR_DIGIT.search(text) is None for text in side] for side in (raw.texts, raw.translations)]
    lacking = np.array(sides).any(axis=0)
    if not lacking.any():
        return raw
    names = shown(raw.ids[lacking])
    if empty is Unreadable.refuse or lacking.all():
        raise ColumnUnusable(
            f"{lacking.sum()} of {len(raw)} pairs of {path} have an empty side: {names}; expected a letter or a digit "
            "on both. Remove them, or set data.empty=skip to leave them out."
        )
    log.warning("left out, because a side is empty: %s", names)
    return raw.take(np.flatnonzero(~lacking))
