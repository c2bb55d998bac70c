"""Texts of the user's and their translations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from heldout.config.data import DataConfig, PairsData, SplitMethod
from heldout.data.columns import column_text
from heldout.data.errors import DataError, FileUnreadable
from heldout.data.hashing import hash_file, hash_json
from heldout.data.raw import RawData
from heldout.data.sources import _labels
from heldout.data.sources._files import read_table
from heldout.data.sources._pairs import raw_pairs, without_empty
from heldout.data.sources._registry import source
from heldout.data.sources.corpus import read_lines


@source("pairs")
def load(config: DataConfig) -> RawData:
    """A pair for each row of a csv or parquet file, or for each line of two files of lines.

    A pair that occurs twice is taken once. Unless a column says otherwise, texts that are alike are of one group.

    Raises:
        FileUnreadable: a file is in another encoding, or the two have different numbers of lines.
        ColumnUnusable: a side is empty, and the config does not leave such pairs out.
    """
    if not isinstance(config, PairsData):
        raise DataError("data.source=pairs needs path; expected a data file that begins with 'pairs'.")
    raw = _from_table(config) if config.translation_path is None else _from_lines(config, config.translation_path)
    raw = without_empty(raw, config.path, config.empty)
    return replace(raw, license="not stated", description=f"{len(raw)} pairs of texts of {Path(config.path).name}.")


def _from_table(config: PairsData) -> RawData:
    table = read_table(Path(config.path), config)
    # texts that are alike are groups, where no column names others
    is_own = config.split.method is SplitMethod.grouped and config.split.column is None
    by = None if is_own else _labels.split_column(config)
    named = {"data.text": config.text, "data.translation": config.translation, "data.id": config.id}
    _labels.check_named(table, {**named, "data.split.column": by}, config)
    # a cell without a value is an empty text
    texts, translations = (
        [(text or "").strip() for text in column_text(table[name], name).to_pylist()]
        for name in (config.text, config.translation)
    )
    about = {
        "split": _labels.split_names(table, config),
        "group": None if is_own else _labels.group(table, config),
        "time": _labels.time(table, config),
    }
    rows = np.arange(len(texts)).astype(str)
    raw = raw_pairs(rows, texts, translations, file_hash=hash_file(Path(config.path)))
    kept = raw.ids.astype(np.int64)
    of_rows: dict[str, Any] = {name: values[kept] for name, values in about.items() if values is not None}
    return replace(raw, ids=_labels.ids(table, config)[kept], **of_rows)


def _from_lines(config: PairsData, translation_path: str) -> RawData:
    files = {"data.path": Path(config.path), "data.translation_path": Path(translation_path)}
    texts, translations = (read_lines(file, config.encoding) for file in files.values())
    if len(texts) != len(translations):
        raise FileUnreadable(
            f"data.path={config.path} has {len(texts)} lines, data.translation_path={translation_path} has "
            f"{len(translations)}; expected as many, each the translation of the line with its number."
        )
    ids = [f"line-{number}" for number in range(1, len(texts) + 1)]
    return raw_pairs(ids, texts, translations, file_hash=hash_json([hash_file(file) for file in files.values()]))
