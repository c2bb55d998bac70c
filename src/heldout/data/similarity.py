"""Copies and near copies of examples between splits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from heldout.data.card import Card
from heldout.data.statistics import valid_steps

Inputs = dict[str, np.ndarray]

# similarities held in memory at once
BLOCK = 4_000_000
# places for the tokens of a text
MOST_TOKENS = 1024


def fingerprints(inputs: Inputs) -> list[bytes]:
    """A hash of all inputs of each example, of a pair of texts that of the first; equal inputs have equal hashes."""
    names = ["source", "source_length"] if "source" in inputs else sorted(inputs)
    parts = [np.ascontiguousarray(inputs[name]) for name in names]
    flat = [part.reshape(len(part), -1).view(np.uint8) for part in parts]
    return [hashlib.blake2b(b"".join(rows), digest_size=16).digest() for rows in zip(*flat, strict=True)]


@dataclass(frozen=True)
class Features:
    """Examples in the space in which they are compared: numbers float32 [n, d], and codes int32 [n, c]."""

    numbers: np.ndarray
    codes: np.ndarray

    @classmethod
    def of(cls, inputs: Inputs, card: Card) -> Features:
        """Inputs standardised by the statistics of the card; missing values and padding become 0, the mean."""
        examples = len(next(iter(inputs.values())))
        codes = inputs.get("categorical", np.empty((examples, 0), np.int32))
        if "x" in inputs:
            x, statistics = inputs["x"], card.statistics["x"]
            scale = 255 if x.dtype == np.uint8 else 1
            shape = (-1,) + (1,) * (x.ndim - 2)
            numbers = (x.astype(np.float32) / scale - _row(statistics["mean"]).reshape(shape)) / _row(
                statistics["std"]
            ).reshape(shape)
            if "length" in inputs:
                numbers = numbers * valid_steps(inputs)[:, None, :]
        elif "tokens" in inputs:
            numbers = _token_counts(inputs["tokens"], inputs["length"])
        elif "source" in inputs:
            # one text in two splits gives its translation away, however that is worded
            numbers = _token_counts(inputs["source"], inputs["source_length"])
        elif "numeric" in inputs:
            statistics = card.statistics["numeric"]
            numbers = (inputs["numeric"] - _row(statistics["mean"])) / _row(statistics["std"])
        else:
            numbers = np.empty((examples, 0), np.float32)
        return cls(np.nan_to_num(numbers.reshape(len(numbers), -1)), codes)

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: np.ndarray | slice) -> Features:
        return Features(self.numbers[rows], self.codes[rows])

    def squared_norms(self) -> np.ndarray:
        # a code stands for a unit vector of its own
        norms: np.ndarray = np.einsum("nd,nd->n", self.numbers, self.numbers) + self.codes.shape[1]
        return norms


def nearest_similarity(queries: Features, others: Features) -> np.ndarray:
    """Largest similarity of each query to any of the others, float32 [queries].

    The similarity of a and b is 2ab / (aa + bb) = 1 - |a - b|² / (|a|² + |b|²): 1 for copies only. Unlike the cosine it
    does not take examples that differ in size for copies, which in a table with few columns most examples would be.
    """
    others_norms = others.squared_norms()
    rows = max(1, BLOCK // max(1, len(others)))
    nearest = np.empty(len(queries), np.float32)
    for start in range(0, len(queries), rows):
        block = queries.take(slice(start, start + rows))
        products = block.numbers @ others.numbers.T
        for column in range(block.codes.shape[1]):
            products += block.codes[:, column, None] == others.codes[None, :, column]
        norms = block.squared_norms()[:, None] + others_norms
        similarity = np.divide(2 * products, norms, out=np.ones_like(products), where=norms > 0)
        nearest[start : start + rows] = similarity.max(axis=1)
    return nearest


def _token_counts(tokens: np.ndarray, length: np.ndarray) -> np.ndarray:
    """How often each token occurs in a text, as 1 + log, float32 [n, MOST_TOKENS]; rare ones share a place."""
    counts = np.zeros((len(tokens), MOST_TOKENS), np.float32)
    valid = np.arange(tokens.shape[1]) < length[:, None]
    np.add.at(counts, (np.nonzero(valid)[0], tokens[valid] % MOST_TOKENS), 1)
    return np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0).astype(np.float32)


def _row(values: list[float]) -> np.ndarray:
    return np.array(values, dtype=np.float32)
