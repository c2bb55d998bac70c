"""German and English words, phrases and sentences of the Debian package trans-de-en."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from heldout.config.data import DataConfig, TransDeEnData, Unreadable
from heldout.data.errors import DataError, PackageMissing
from heldout.data.raw import RawData
from heldout.data.sources._pairs import raw_pairs, without_empty
from heldout.data.sources._registry import source
from heldout.data.sources.corpus import read_text

FEWEST_WORDS = 3
# of the grammar of a word, of its field and of its meaning
_REMARKS = re.compile(r"\{[^}]*\}|\[[^\]]*\]|\([^)]*\)")


@source("trans_de_en")
def load(config: DataConfig) -> RawData:
    """A pair for each entry with as many parts in German as in English, remarks in brackets left out.

    Raises:
        PackageMissing: the Debian package is not installed.
    """
    if not isinstance(config, TransDeEnData):
        raise DataError("data.source=trans_de_en needs a path; expected data=trans_de_en.")
    path = Path(config.path)
    if not path.is_file():
        raise PackageMissing(
            f"data.path={path}: there is no such file; it ships in the Debian package trans-de-en. Install it with: "
            "apt-get install trans-de-en"
        )
    ids, texts, translations = [], [], []
    for name, german, english in entries(read_text(path, "utf-8")):
        if not config.sentences or (is_sentence(german) and is_sentence(english)):
            ids.append(name)
            texts.append(german)
            translations.append(english)
    raw = raw_pairs(
        ids,
        texts,
        translations,
        license="GPL-2.0-or-later; shipped with the Debian package trans-de-en",
        citation="F. Richter: Ding dictionary German-English. TU Chemnitz, https://dict.tu-chemnitz.de",
        description=f"{'Sentences' if config.sentences else 'Words, phrases and sentences'} of a dictionary, from "
        "German to English.",
    )
    return without_empty(raw, config.path, Unreadable.skip)


def entries(content: str) -> Iterator[tuple[str, str, str]]:
    """Id, German and English of each entry of the file: a line is `a | b :: c | d`, and a belongs to c, b to d.

    Of a line whose sides have different numbers of parts nobody knows what belongs together: it is passed over.
    """
    for number, line in enumerate(content.split("\n"), start=1):
        german, _, english = line.partition("::")
        parts = [[_plain(part) for part in side.split("|")] for side in (german, english)]
        if line.startswith("#") or len(parts[0]) != len(parts[1]):
            continue
        for place, (one, other) in enumerate(zip(*parts, strict=True), start=1):
            if one and other:
                yield f"line-{number}-{place}", one, other


def is_sentence(text: str) -> bool:
    """Whether it has three words or more and ends as a sentence does."""
    return len(text.split()) >= FEWEST_WORDS and text[-1] in ".!?"


def _plain(text: str) -> str:
    return " ".join(_REMARKS.sub(" ", text).split())
