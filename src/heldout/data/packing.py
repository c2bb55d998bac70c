"""Texts laid end to end and cut into blocks of equal length, from which a language model learns.

A separator stands before and after each text. A block holds one token more than is predicted in it: its first token is
the last of the block before, so that every token but the first of all is predicted once. What belongs to which text is
known by the separators; a model may look at no token of another text.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from heldout.data.raw import RawData
from heldout.data.tokens import PADDING, SEPARATOR

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# of places at which nothing is predicted
NOTHING = -1


def packed(raw: RawData, tokenizer: Tokenizer, block: int) -> RawData:
    """One split as blocks: `tokens` int32 [blocks, block + 1], and `length` int32 [blocks], the tokens that are there.

    An id is that of the text in which a block begins, and the place of its first token in that text. The target is
    the number of tokens that are predicted.
    """
    assert raw.texts is not None
    parts = [[SEPARATOR, *one.ids] for one in tokenizer.encode_batch(raw.texts.tolist())]
    stream = np.array([token for part in parts for token in part] + [SEPARATOR], dtype=np.int32)
    starts = np.arange(0, len(stream) - 1, block)
    tokens = np.full((len(starts), block + 1), PADDING, dtype=np.int32)
    for row, start in enumerate(starts):
        piece = stream[start : start + block + 1]
        tokens[row, : len(piece)] = piece
    length = np.minimum(len(stream) - starts, block + 1).astype(np.int32)
    begins = np.cumsum([0, *map(len, parts)])
    text = np.searchsorted(begins[:-1], starts, side="right") - 1
    return replace(
        raw,
        ids=np.array([f"{raw.ids[one]}@{start - begins[one]}" for one, start in zip(text, starts, strict=True)]),
        inputs={"tokens": tokens, "length": length},
        target=(length - 1).astype(np.float64),
        texts=None,
        split=None,
        group=None,
        time=None,
    )


def encode_texts(tokenizer: Tokenizer, texts: list[str], block: int) -> dict[str, np.ndarray]:
    """A block a text: what of each fits into one."""
    tokens = np.full((len(texts), block + 1), PADDING, dtype=np.int32)
    length = np.zeros(len(texts), dtype=np.int32)
    for row, one in enumerate(tokenizer.encode_batch(texts)):
        ids = [SEPARATOR, *one.ids, SEPARATOR][: block + 1]
        tokens[row, : len(ids)] = ids
        length[row] = len(ids)
    return {"tokens": tokens, "length": length}


def next_tokens(inputs: dict[str, np.ndarray]) -> np.ndarray:
    """What is to be predicted at each place of a block or translation, int64 [n, places]; NOTHING behind the end."""
    names = ("translation", "translation_length") if "translation" in inputs else ("tokens", "length")
    tokens, length = (inputs[name] for name in names)
    behind = np.arange(1, tokens.shape[1]) >= length[:, None]
    return np.where(behind, NOTHING, tokens[:, 1:]).astype(np.int64)
