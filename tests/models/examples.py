"""Small data sets with classes that can be told apart, one of each kind a model may meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from heldout.data.card import Card, Column
from heldout.data.raw import RawData
from heldout.data.statistics import compute_statistics, target_statistics
from heldout.data.tokens import SEPARATOR

CLASSES = ("a", "b", "c")
EXAMPLES = 24


@dataclass(frozen=True)
class Example:
    """A card with the inputs and class indices, or numbers, of all its examples."""

    card: Card
    inputs: dict[str, np.ndarray]
    target: np.ndarray

    def tensors(self) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(array.copy()) for name, array in self.inputs.items()}

    def labels(self) -> torch.Tensor:
        return torch.from_numpy(self.target)

    def rows(self, rows: slice) -> dict[str, torch.Tensor]:
        return {name: tensor[rows] for name, tensor in self.tensors().items()}


def image(channels: int, height: int, width: int) -> Example:
    """Pixels around a picture of the class (seed 0)."""
    rng = np.random.default_rng(0)
    target = _turns()
    pictures = rng.uniform(40, 210, (len(CLASSES), channels, height, width))
    x = pictures[target] + rng.normal(0, 10, (EXAMPLES, channels, height, width))
    return _example("image", {"x": x.clip(0, 255).astype(np.uint8)}, target)


def series(channels: int, steps: int, unequal: bool = False) -> Example:
    """Waves whose frequency is the class, far from standardised (seed 0)."""
    rng = np.random.default_rng(0)
    target = _turns()
    time = np.arange(steps) + rng.uniform(0, 0.5, (EXAMPLES, channels, 1))
    x = 5 + 3 * np.sin(time * (1 + target[:, None, None])) + rng.normal(0, 0.1, (EXAMPLES, channels, steps))
    x = x.astype(np.float32)
    if not unequal:
        return _example("series", {"x": x}, target)
    length = rng.integers(3, steps + 1, EXAMPLES).astype(np.int32)
    length[:2] = 1, steps
    x[np.broadcast_to(np.arange(steps) >= length[:, None, None], x.shape)] = 0
    return _example("series", {"x": x, "length": length}, target)


def table(numeric: int, categorical: int) -> Example:
    """Numbers around a mean of the class with every seventh missing, and categories that the class prefers (seed 0)."""
    rng = np.random.default_rng(0)
    target = _turns()
    inputs: dict[str, np.ndarray] = {}
    columns: list[Column] = []
    if numeric:
        x = 10 * rng.normal(size=(len(CLASSES), numeric))[target] + rng.normal(size=(EXAMPLES, numeric))
        x.flat[::7] = np.nan
        inputs["numeric"] = x.astype(np.float32)
        columns += [{"name": f"number {i}", "kind": "numeric", "categories": []} for i in range(numeric)]
    if categorical:
        codes = (target[:, None] + np.arange(categorical)) % len(CLASSES)
        inputs["categorical"] = codes.astype(np.int32)
        columns += [{"name": f"kind {i}", "kind": "categorical", "categories": ["u", "v"]} for i in range(categorical)]
    return _example("table", inputs, target, columns)


def text(tokens: int = 9, vocabulary: int = 12) -> Example:
    """Texts of unequal length that hold the words of their class and common ones (seed 0)."""
    rng = np.random.default_rng(0)
    target = _turns()
    words = rng.integers(2 + len(CLASSES), vocabulary, (EXAMPLES, tokens))
    length = rng.integers(3, tokens + 1, EXAMPLES).astype(np.int32)
    length[:2] = 1, tokens
    words[:, :2] = 2 + target[:, None]
    words[np.arange(tokens) >= length[:, None]] = 0
    return _example("text", {"tokens": words.astype(np.int32), "length": length}, target, vocabulary=vocabulary)


def with_input_length(example: Example, steps: int) -> Example:
    """The same series of unequal length with that many steps, the added ones padding."""
    x = example.inputs["x"]
    padded = np.zeros((*x.shape[:2], steps), dtype=x.dtype)
    padded[:, :, : x.shape[2]] = x
    inputs = {**example.inputs, "x": padded}
    specs = {**example.card.inputs, "x": {"dtype": "float32", "shape": [x.shape[1], steps]}}
    return Example(replace(example.card, inputs=specs), inputs, example.target)


def ratings() -> Example:
    """Users who like items of their own kind, some of them unknown (seed 0)."""
    rng = np.random.default_rng(0)
    codes = np.stack([rng.permutation(EXAMPLES) % 4, rng.permutation(EXAMPLES) % 6], axis=1).astype(np.int32)
    columns: list[Column] = [
        {"name": "user", "kind": "categorical", "categories": ["u", "v", "w"]},
        {"name": "item", "kind": "categorical", "categories": list("abcde")},
    ]
    target = (codes.sum(axis=1) + codes.prod(axis=1)) % len(CLASSES)
    example = with_numbers(_example("interactions", {"categorical": codes}, target, columns))
    return Example(replace(example.card, task="recommendation"), example.inputs, example.target)


def continued(block: int = 9, vocabulary: int = 12) -> Example:
    """Blocks of texts to be continued, some of which hold the end of one text and the beginning of another (seed 0)."""
    rng = np.random.default_rng(0)
    # texts that count to three
    tokens = np.tile(SEPARATOR + np.arange(block + 1) % 4, (EXAMPLES, 1)).astype(np.int32)
    length = rng.integers(3, block + 2, EXAMPLES).astype(np.int32)
    length[:2] = 2, block + 1
    tokens[np.arange(block + 1) >= length[:, None]] = 0
    inputs = {"tokens": tokens, "length": length}
    example = _example("text", inputs, _turns(), vocabulary=vocabulary)
    card = replace(example.card, task="language", classes=[])
    return Example(card, inputs, (length - 1).astype(np.float64))


def pairs(most: int = 5, vocabulary: int = 12) -> Example:
    """Texts of unequal length, and translations that are the texts backwards (seed 0)."""
    rng = np.random.default_rng(0)
    length = rng.integers(1, most + 1, EXAMPLES)
    length[:2] = 1, most
    source = np.zeros((EXAMPLES, most + 1), dtype=np.int32)
    translation = np.zeros((EXAMPLES, most + 2), dtype=np.int32)
    for row, size in enumerate(length):
        words = rng.integers(SEPARATOR + 1, vocabulary, size)
        source[row, : size + 1] = [*words, SEPARATOR]
        translation[row, : size + 2] = [SEPARATOR, *words[::-1], SEPARATOR]
    inputs = {
        "source": source,
        "source_length": (length + 1).astype(np.int32),
        "translation": translation,
        "translation_length": (length + 2).astype(np.int32),
    }
    example = _example("text", inputs, _turns(), vocabulary=vocabulary)
    card = replace(example.card, task="translation", classes=[])
    return Example(card, inputs, (length + 1).astype(np.float64))


def drawn(channels: int, height: int, width: int) -> Example:
    """Pictures of which more are to be drawn."""
    example = image(channels, height, width)
    none = {split: [] for split in ("train", "validation", "test")}
    card = replace(example.card, task="generation", classes=[], class_counts=none)
    return Example(card, example.inputs, np.zeros(EXAMPLES))


def with_numbers(example: Example) -> Example:
    """The same inputs with a number to predict: 100 a class, from 1,000 on."""
    target = 1000 + 100 * example.target.astype(np.float64)
    card = replace(
        example.card,
        task="regression",
        classes=[],
        class_counts={split: [] for split in ("train", "validation", "test")},
        target=target_statistics(target),
    )
    return Example(card, example.inputs, target)


# by name: what is unusual about it
KINDS: dict[str, Callable[[], Example]] = {
    "image": lambda: image(1, 8, 8),
    "odd colour image": lambda: image(3, 5, 3),
    "one-pixel image": lambda: image(3, 1, 1),
    "series": lambda: series(2, 17),
    "short series": lambda: series(3, 2),
    "unequal series": lambda: series(2, 12, unequal=True),
    "table": lambda: table(4, 2),
    "numeric table": lambda: table(4, 0),
    "categorical table": lambda: table(0, 3),
    "text": text,
    "interactions": ratings,
    "continued text": continued,
    "pairs": pairs,
    "image to be drawn": lambda: drawn(1, 8, 8),
    "odd colour image to be drawn": lambda: drawn(3, 5, 3),
    "one-pixel image to be drawn": lambda: drawn(3, 1, 1),
}


def _turns() -> np.ndarray:
    return np.arange(EXAMPLES) % len(CLASSES)


def _example(
    modality: str,
    inputs: dict[str, np.ndarray],
    target: np.ndarray,
    columns: list[Column] | None = None,
    vocabulary: int = 0,
) -> Example:
    raw = RawData(
        ids=np.arange(EXAMPLES).astype(str),
        inputs=inputs,
        target=np.array(CLASSES)[target],
        classes=list(CLASSES),
        columns=columns or [],
    )
    counts = np.bincount(target).tolist()
    card = Card(
        name="example",
        source="example",
        modality=modality,
        classes=list(CLASSES),
        counts=dict.fromkeys(("train", "validation", "test"), EXAMPLES),
        class_counts=dict.fromkeys(("train", "validation", "test"), counts),
        inputs={name: {"dtype": str(a.dtype), "shape": list(a.shape[1:])} for name, a in inputs.items()},
        statistics=compute_statistics(raw),
        columns=raw.columns,
        vocabulary=vocabulary,
    )
    return Example(card, inputs, target)
