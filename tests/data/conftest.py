"""Small data sets: one made in memory, one written as csv, one prepared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heldout.config.data import DataConfig, Modality, SplitConfig, SplitMethod, TableData
from heldout.data.card import Card
from heldout.data.prepare import prepare
from heldout.data.raw import RawData
from heldout.data.sources._registry import _SOURCES

MakeRaw = Callable[..., RawData]
MakeCsv = Callable[..., Path]


@pytest.fixture
def make_raw() -> MakeRaw:
    """Images of random pixels (seed 0) with classes that take turns; keywords replace parts."""

    def make(n: int = 60, classes: int | list[str] = 3, **parts: Any) -> RawData:
        rng = np.random.default_rng(0)
        labels = [f"class {i}" for i in range(classes)] if isinstance(classes, int) else classes
        defaults: dict[str, Any] = {
            "ids": np.array([f"id-{i}" for i in range(n)]),
            "inputs": {"x": rng.integers(0, 256, (n, 1, 4, 5)).astype(np.uint8)},
            "target": np.array([labels[i % len(labels)] for i in range(n)]),
            "classes": labels,
        }
        return RawData(**(defaults | parts))

    return make


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[[RawData], str]:
    """Makes a data set available as source `planted` for the length of a test."""

    def add(raw: RawData) -> str:
        monkeypatch.setitem(_SOURCES, "planted", lambda config: raw)
        return "planted"

    return add


@pytest.fixture
def make_csv(tmp_path: Path) -> MakeCsv:
    """Writes a csv file: a text as it stands, or rows below a header."""

    def write(content: str | bytes, name: str = "rows.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def table_text(n: int = 60) -> str:
    """Rows of two numeric and one categorical column, a missing value in each, and the target `label`."""
    rows = ["id,age,income,city,label"]
    for i in range(n):
        age = "" if i == 4 else str(20 + i % 40)
        city = "" if i == 5 else ("Ulm", "Bonn", "Köln")[i % 3]
        rows.append(f"p{i},{age},{i * 1.5},{city},{('no', 'yes')[i % 2]}")
    return "\n".join(rows) + "\n"


@pytest.fixture
def table(make_csv: MakeCsv) -> Callable[..., TableData]:
    """The config of a table that needs no mending; keywords replace parts of it, `text` the file."""

    def make(text: str | bytes | None = None, name: str = "rows.csv", **parts: Any) -> TableData:
        path = make_csv(table_text() if text is None else text, name)
        defaults: dict[str, Any] = {"name": "rows", "path": str(path), "target": "label", "id": "id"}
        return TableData(**(defaults | parts))

    return make


@pytest.fixture
def prepared_table(table: Callable[..., TableData], tmp_path: Path) -> tuple[Path, Card]:
    out = tmp_path / "prepared"
    return out, prepare(table(), out)


@pytest.fixture
def split_config() -> Callable[..., SplitConfig]:
    def make(method: str, **parts: Any) -> SplitConfig:
        return SplitConfig(method=SplitMethod[method], **parts)

    return make


@pytest.fixture
def image_config() -> Callable[..., DataConfig]:
    def make(source: str = "planted", **parts: Any) -> DataConfig:
        return DataConfig(name=source, source=source, modality=Modality.image, **parts)

    return make
