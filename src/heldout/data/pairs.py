"""Texts and their translations as tokens of one vocabulary."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from heldout.data.raw import RawData
from heldout.data.tokens import PADDING, SEPARATOR, load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_NEITHER_LETTER_NOR_DIGIT = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")


def alike(text: str) -> str:
    """The same for texts that differ in capitals, marks, blanks or numbers alone.

    Such texts have nearly the same translation: one in train gives away that of the other. Of a text without letters
    and digits it is the text.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _DIGITS.sub("0", _NEITHER_LETTER_NOR_DIGIT.sub(" ", folded).strip()) or text


def encode_pairs(
    tokenizer: Tokenizer, texts: Sequence[str], translations: Sequence[str], most: int
) -> dict[str, np.ndarray]:
    """Inputs of pairs of which no side has more than `most` tokens.

    `source` int32 [pairs, most + 1]: the text and a separator; `translation` int32 [pairs, most + 2]: the translation
    between separators; `source_length` and `translation_length` int32 [pairs]: what is no padding of it.
    """
    ends = [[SEPARATOR, *one.ids, SEPARATOR] for one in tokenizer.encode_batch(list(translations))]
    translation, length = _padded(ends, most + 2)
    return {**encode_sources(tokenizer, texts, most), "translation": translation, "translation_length": length}


def encode_sources(tokenizer: Tokenizer, texts: Sequence[str], most: int) -> dict[str, np.ndarray]:
    """Inputs of texts to be translated, of each its first `most` tokens."""
    found = [[*one.ids[:most], SEPARATOR] for one in tokenizer.encode_batch(list(texts))]
    source, length = _padded(found, most + 1)
    return {"source": source, "source_length": length}


def paired(raw: RawData, tokenizer: Tokenizer, most: int) -> tuple[RawData, int]:
    """One split as inputs, and how many pairs were left out of it because a side has more than `most` tokens.

    The target is the number of tokens that are predicted: those of the translation, and its end.
    """
    assert raw.texts is not None
    assert raw.translations is not None
    sides = [raw.texts.tolist(), raw.translations.tolist()]
    counts = np.array([[len(one.ids) for one in tokenizer.encode_batch(side)] for side in sides])
    rows = np.flatnonzero((counts <= most).all(axis=0))
    kept = raw.take(rows)
    assert kept.texts is not None
    assert kept.translations is not None
    inputs = encode_pairs(tokenizer, kept.texts.tolist(), kept.translations.tolist(), most)
    target = (inputs["translation_length"] - 1).astype(np.float64)
    made = replace(kept, inputs=inputs, target=target, texts=None, translations=None, split=None, group=None, time=None)
    return made, len(raw) - len(rows)


def side_texts(inputs: dict[str, np.ndarray], tokenizer: Tokenizer) -> tuple[list[str], list[str]]:
    """The texts of pairs, and their translations, as they were given."""
    rows = zip(inputs["translation"], inputs["translation_length"], strict=True)
    translations: list[str] = tokenizer.decode_batch([row[1 : length - 1].tolist() for row, length in rows])
    return source_texts(inputs, tokenizer), translations


def source_texts(inputs: Mapping[str, np.ndarray], tokenizer: Tokenizer) -> list[str]:
    """The texts that are to be translated, as they were given."""
    rows = zip(inputs["source"], inputs["source_length"], strict=True)
    texts: list[str] = tokenizer.decode_batch([row[: length - 1].tolist() for row, length in rows])
    return texts


def side_sizes(inputs: dict[str, np.ndarray], tokenizer: str) -> tuple[np.ndarray, np.ndarray]:
    """Characters of the texts of pairs and of their translations, each int64 [pairs]; tokenizer: as a card holds it."""
    sources, translations = side_texts(inputs, load_tokenizer(tokenizer))
    return np.array([len(text) for text in sources]), np.array([len(text) for text in translations])


def has_equal_sides(inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Whether the translation of a pair is the text itself, bool [pairs]."""
    # without the separator that a translation begins with, both have the same form
    source, translation = inputs["source"], inputs["translation"][:, 1:]
    same = (inputs["source_length"] == inputs["translation_length"] - 1) & (source == translation).all(axis=1)
    return np.asarray(same)


def _padded(found: Sequence[Sequence[int]], places: int) -> tuple[np.ndarray, np.ndarray]:
    tokens = np.full((len(found), places), PADDING, dtype=np.int32)
    for row, ids in enumerate(found):
        tokens[row, : len(ids)] = ids
    return tokens, np.array([len(ids) for ids in found], dtype=np.int32)
