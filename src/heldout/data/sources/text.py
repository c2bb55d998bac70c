"""Texts of the user's: a folder for each class, or a column of a csv or parquet file."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np

from heldout.config.data import DataConfig, TextFilesData, Unreadable, reading_encoding
from heldout.data.columns import column_text
from heldout.data.errors import ColumnUnusable, DataError, FileUnreadable, shown
from heldout.data.hashing import hash_file, hash_json
from heldout.data.raw import RawData
from heldout.data.sources import _labels
from heldout.data.sources._files import read_table
from heldout.data.sources._listing import list_files, read_each
from heldout.data.sources._registry import source

log = logging.getLogger(__name__)

SUFFIXES = (".txt",)
_LETTER_OR_DIGIT = re.compile(r"\w")


@source("text")
def load(config: DataConfig) -> RawData:
    """All texts; they become tokens when it is known which of them are train.

    Raises:
        FileUnreadable: a file is in another encoding; the message names it.
        ColumnUnusable: texts are empty, and the config does not leave them out.
    """
    if not isinstance(config, TextFilesData):
        raise DataError("data.source=text needs path; expected a data file that begins with 'text'.")
    raw = _from_folder(config) if Path(config.path).is_dir() else _from_table(config)
    assert raw.texts is not None
    empty = np.array([_LETTER_OR_DIGIT.search(text) is None for text in raw.texts])
    if not empty.any():
        return raw
    names = shown(raw.ids[empty])
    if config.empty is Unreadable.refuse or empty.all():
        raise ColumnUnusable(
            f"{empty.sum()} of {len(raw)} texts of {config.path} are empty: {names}; expected a letter or a digit in "
            "each. Remove them, or set data.empty=skip to leave them out."
        )
    log.warning("left out, because they are empty: %s", names)
    return raw.take(np.flatnonzero(~empty))


def _from_folder(config: TextFilesData) -> RawData:
    listing = list_files(config, SUFFIXES)
    texts: list[str] = []

    def read(file: Path) -> str:
        try:
            return file.read_text(encoding=reading_encoding(config.encoding))
        except (UnicodeError, OSError) as error:
            raise FileUnreadable(f"  {file}: no text in data.encoding={config.encoding} ({error})") from None

    listing = listing.take(read_each(listing, config, read, lambda _, text: texts.append(text)))
    return _raw(config, texts, hash_json([hash_file(file) for file in listing.files]), listing.about())


def _from_table(config: TextFilesData) -> RawData:
    table = read_table(Path(config.path), config)
    by = _labels.split_column(config)
    named = {"data.text": config.text, "data.target": config.target, "data.id": config.id, "data.split.column": by}
    _labels.check_named(table, named, config)
    # a cell without a value is an empty text
    texts = [text or "" for text in column_text(table[config.text], config.text).to_pylist()]
    target = _labels.target(table, config)
    about = {
        "ids": _labels.ids(table, config),
        "target": target,
        "classes": _labels.ordered(np.unique(target).tolist()),
        "split": _labels.split_names(table, config),
        "group": _labels.group(table, config),
        "time": _labels.time(table, config),
    }
    return _raw(config, texts, hash_file(Path(config.path)), about)


def _raw(config: TextFilesData, texts: list[str], file_hash: str, about: dict[str, Any]) -> RawData:
    return RawData(
        inputs={},
        texts=np.array(texts, dtype=object),
        **about,
        file_hash=file_hash,
        license="not stated",
        description=f"{len(texts)} texts of {Path(config.path).name}.",
    )
