"""Ratings of the user's: csv or parquet, a row a rating."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from heldout.config.data import DataConfig, InteractionsData
from heldout.data.errors import DataError
from heldout.data.hashing import hash_file
from heldout.data.raw import RawData
from heldout.data.sources import _labels
from heldout.data.sources._files import read_table
from heldout.data.sources._ratings import ratings
from heldout.data.sources._registry import source


@source("interactions")
def load(config: DataConfig) -> RawData:
    """All rows of the file; columns that the config does not name are left aside.

    Raises:
        FileUnreadable, ColumnMissing, ColumnUnusable, TargetUnusable, PairRepeated: see there.
    """
    if not isinstance(config, InteractionsData):
        raise DataError("data.source=interactions needs path; expected a data file that begins with 'interactions'.")
    path = Path(config.path)
    table = read_table(path, config)
    by = _labels.split_column(config)
    named: dict[str, str | None] = {"data.target": config.target, "data.user": config.user, "data.item": config.item}
    _labels.check_named(table, named | {"data.id": config.id, "data.split.column": by}, config)
    raw = ratings(
        _labels.complete_text(table, config.user, "data.user"),
        _labels.complete_text(table, config.item, "data.item"),
        _labels.numbers(table, config),
        config.scale,
        split=_labels.split_names(table, config),
        group=_labels.group(table, config),
        time=_labels.time(table, config),
        file_hash=hash_file(path),
        license="not stated",
        description=f"{table.num_rows} ratings of {path.name}.",
    )
    return raw if config.id is None else replace(raw, ids=_labels.ids(table, config))
