"""Texts of the user's that a language model is to continue."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from heldout.config.data import CorpusData, DataConfig, SplitMethod, reading_encoding
from heldout.data.card import SPLITS
from heldout.data.columns import column_text
from heldout.data.errors import ColumnUnusable, DataError, FileUnreadable, shown
from heldout.data.hashing import hash_file, hash_json
from heldout.data.raw import RawData
from heldout.data.sources import _labels
from heldout.data.sources._files import read_table
from heldout.data.sources._registry import source

SUFFIX = ".txt"
_BLANK_LINES = re.compile(r"\n\s*\n")


@source("corpus")
def load(config: DataConfig) -> RawData:
    """A text for each file of a folder, each paragraph of a .txt file, or each row of a csv or parquet file.

    Raises:
        FileUnreadable: there is no text, or one in another encoding; the message names its file.
        ColumnUnusable: a text is empty.
    """
    if not isinstance(config, CorpusData):
        raise DataError("data.source=corpus needs path; expected a data file that begins with 'corpus'.")
    path = Path(config.path)
    if path.is_dir():
        return _from_folder(path, config)
    return _from_paragraphs(path, config) if path.suffix == SUFFIX else _from_table(path, config)


def _from_folder(path: Path, config: CorpusData) -> RawData:
    files = sorted(file for file in path.rglob(f"*{SUFFIX}") if file.is_file())
    if not files:
        raise FileUnreadable(f"data.path={path} holds no file that ends in {SUFFIX}; expected a text a file.")
    names = [file.relative_to(path) for file in files]
    split = None
    if config.split.method is SplitMethod.given:
        split = np.array([name.parts[0] for name in names])
        if unknown := sorted(set(split.tolist()) - set(SPLITS)):
            raise ColumnUnusable(
                f"data.path={path} holds {shown(unknown)}; expected only the folders {', '.join(SPLITS)}, since "
                "data.split.method=given."
            )
    ids = np.array([name.as_posix() for name in names])
    texts = [read_text(file, config.encoding) for file in files]
    return _raw(config, texts, hash_json([hash_file(file) for file in files]), {"ids": ids, "split": split})


def _from_paragraphs(path: Path, config: CorpusData) -> RawData:
    whole = read_text(path, config.encoding)
    texts = [text.strip() for text in _BLANK_LINES.split(whole) if text.strip()]
    ids = np.array([f"paragraph-{number}" for number in range(1, len(texts) + 1)])
    return _raw(config, texts, hash_file(path), {"ids": ids})


def _from_table(path: Path, config: CorpusData) -> RawData:
    table = read_table(path, config)
    by = _labels.split_column(config)
    _labels.check_named(table, {"data.text": config.text, "data.id": config.id, "data.split.column": by}, config)
    texts = [text or "" for text in column_text(table[config.text], config.text).to_pylist()]
    about = {
        "ids": _labels.ids(table, config),
        "split": _labels.split_names(table, config),
        "group": _labels.group(table, config),
        "time": _labels.time(table, config),
    }
    return _raw(config, texts, hash_file(path), about)


def read_text(file: Path, encoding: str) -> str:
    """The text of a file; raises FileUnreadable where it is in another encoding."""
    try:
        return file.read_text(encoding=reading_encoding(encoding))
    except (UnicodeError, OSError) as error:
        raise FileUnreadable(f"{file}: no text in data.encoding={encoding} ({error}); expected that one.") from None


def read_lines(file: Path, encoding: str) -> list[str]:
    """The lines of a file, without blanks around them; raises as `read_text`."""
    # not splitlines: it takes marks inside of texts for ends of lines
    return [line.strip() for line in read_text(file, encoding).removesuffix("\n").split("\n")]


def _raw(config: CorpusData, texts: list[str], file_hash: str, about: dict[str, Any]) -> RawData:
    empty = [name for name, text in zip(about["ids"].tolist(), texts, strict=True) if not text.strip()]
    if empty:
        raise ColumnUnusable(
            f"{len(empty)} of {len(texts)} texts of {config.path} are empty: {shown(empty)}; expected something to "
            "learn from in each. Remove them."
        )
    return RawData(
        inputs={},
        texts=np.array(texts, dtype=object),
        target=np.zeros(len(texts)),
        classes=[],
        **about,
        file_hash=file_hash,
        license="not stated",
        description=f"{len(texts)} texts of {Path(config.path).name}.",
    )
