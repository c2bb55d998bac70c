"""A csv or parquet file of the user's."""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from heldout.config.data import ColumnKind, DataConfig, TableData
from heldout.data.card import Column
from heldout.data.columns import column_text, encode_columns, has_values
from heldout.data.errors import ColumnUnusable, DataError
from heldout.data.hashing import hash_file
from heldout.data.raw import RawData
from heldout.data.sources import _labels
from heldout.data.sources._files import read_table
from heldout.data.sources._kinds import infer_kind
from heldout.data.sources._labels import check_named, split_column
from heldout.data.sources._registry import source

log = logging.getLogger(__name__)


@source("table")
def load(config: DataConfig) -> RawData:
    """All rows; the target, the id and the column by which to split are no features.

    Raises:
        FileUnreadable, ColumnMissing, ColumnUnusable, NotFinite, TargetUnusable: see there.
    """
    if not isinstance(config, TableData):
        raise DataError("data.source=table needs path and target; expected a data file that begins with 'table'.")
    path = Path(config.path)
    table = read_table(path, config)
    by = split_column(config)
    named = {"data.target": config.target, "data.id": config.id, "data.split.column": by}
    check_named(table, named | {f"data.columns.{name}": name for name in config.columns}, config)
    columns = _columns(table, config, other={config.target, config.id, by})
    target, classes = _labels.target_of(table, config)
    return RawData(
        ids=_labels.ids(table, config),
        inputs=encode_columns(table, columns),
        target=target,
        classes=classes,
        split=_labels.split_names(table, config),
        group=_labels.group(table, config),
        time=_labels.time(table, config),
        columns=columns,
        file_hash=hash_file(path),
        license="not stated",
        description=f"{table.num_rows} rows of {path.name}, column '{config.target}' to predict.",
    )


def _columns(table: pa.Table, config: TableData, other: set[str | None]) -> list[Column]:
    """The features in the order of the file, with all categories that occur anywhere in it."""
    columns: list[Column] = []
    for name in table.column_names:
        kind = None if name in other else config.columns.get(name) or infer_kind(table[name], name)
        if kind in (ColumnKind.numeric, ColumnKind.categorical) and not has_values(table[name]):
            raise ColumnUnusable(
                f"column '{name}' of {config.path} has no value in any row; expected some. Fill it in, or say "
                f"data.columns.{name}=ignore."
            )
        if kind is ColumnKind.numeric:
            columns.append(Column(name=name, kind="numeric", categories=[]))
        elif kind is ColumnKind.categorical:
            values = pc.unique(column_text(table[name], name)).drop_null().to_pylist()
            columns.append(Column(name=name, kind="categorical", categories=sorted(values)))
    if not columns:
        raise ColumnUnusable(
            f"{config.path} has no column left to predict '{config.target}' from; expected at least one that is "
            "numeric or categorical."
        )
    numeric = sum(column["kind"] == "numeric" for column in columns)
    log.info("%s: %d numeric and %d categorical columns", config.path, numeric, len(columns) - numeric)
    return columns
