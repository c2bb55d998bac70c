"""A csv or parquet file of the user's."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from heldout.config.data import ColumnKind, DataConfig, SplitMethod, TableData
from heldout.data.arrow import to_numpy
from heldout.data.card import SPLITS, Column
from heldout.data.columns import column_text, encode_columns, has_values
from heldout.data.errors import ColumnMissing, ColumnUnusable, DataError, TargetUnusable, shown
from heldout.data.hashing import hash_file
from heldout.data.raw import RawData
from heldout.data.sources._files import read_table
from heldout.data.sources._kinds import infer_kind
from heldout.data.sources._registry import source

log = logging.getLogger(__name__)

# a target of more different values than this is suspected to be a measure or a name, not a class
MOST_VALUES = 20


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
    _check_columns(table, config)
    columns = _columns(table, config)
    target = _target(table, config)
    return RawData(
        ids=_ids(table, config),
        inputs=encode_columns(table, columns),
        target=target,
        classes=_ordered(np.unique(target).tolist()),
        split=_split_names(table, config),
        group=_group(table, config),
        time=_time(table, config),
        columns=columns,
        file_hash=hash_file(path),
        license="not stated",
        description=f"{table.num_rows} rows of {path.name}, column '{config.target}' to predict.",
    )


def _check_columns(table: pa.Table, config: TableData) -> None:
    named = {"data.target": config.target, "data.id": config.id}
    named |= {f"data.columns.{name}": name for name in config.columns}
    if config.split.method in (SplitMethod.grouped, SplitMethod.time, SplitMethod.given):
        if config.split.column is None:
            raise ColumnMissing(
                f"data.split.method={config.split.method.name} on a table needs data.split.column; expected the name "
                "of the column that holds the group, the time or the name of the split."
            )
        named["data.split.column"] = config.split.column
    for key, name in named.items():
        if name is not None and name not in table.column_names:
            hint = " Is data.separator right?" if len(table.column_names) == 1 else ""
            raise ColumnMissing(
                f"{key}: there is no column '{name}' in {config.path}. Its columns: "
                f"{shown(table.column_names, most=20)}.{hint}"
            )


def _columns(table: pa.Table, config: TableData) -> list[Column]:
    """The features in the order of the file, with all categories that occur anywhere in it."""
    by_split = config.split.method in (SplitMethod.grouped, SplitMethod.time, SplitMethod.given)
    other = {config.target, config.id, config.split.column if by_split else None}
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


def _ids(table: pa.Table, config: TableData) -> np.ndarray:
    if config.id is None:
        return np.array([f"row-{row}" for row in range(1, table.num_rows + 1)])
    return _complete_text(table, config.id, "data.id")


def _target(table: pa.Table, config: TableData) -> np.ndarray:
    labels = _complete_text(table, config.target, "data.target")
    classes = np.unique(labels)
    fractions = [label for label in classes.tolist() if _is_number(label) and not float(label).is_integer()]
    if len(classes) > MOST_VALUES and fractions:
        raise TargetUnusable(
            f"data.target={config.target} holds {len(classes)} different numbers such as {shown(fractions, most=3)}; "
            "classification needs classes. Choose another column, or cut this one into ranges first."
        )
    if len(classes) > max(MOST_VALUES, len(labels) // 2):
        raise TargetUnusable(
            f"data.target={config.target} holds {len(classes)} different values in {len(labels)} rows; expected a few "
            "classes with several rows each. Choose another column."
        )
    return labels


def _split_names(table: pa.Table, config: TableData) -> np.ndarray | None:
    if config.split.method is not SplitMethod.given:
        return None
    names = _complete_text(table, str(config.split.column), "data.split.column")
    if unknown := sorted(set(names.tolist()) - set(SPLITS)):
        raise ColumnUnusable(
            f"data.split.column={config.split.column} holds {shown(unknown)}; expected only {', '.join(SPLITS)}."
        )
    return names


def _group(table: pa.Table, config: TableData) -> np.ndarray | None:
    if config.split.method is not SplitMethod.grouped:
        return None
    return _complete_text(table, str(config.split.column), "data.split.column")


def _time(table: pa.Table, config: TableData) -> np.ndarray | None:
    if config.split.method is not SplitMethod.time:
        return None
    name = str(config.split.column)
    column = table[name]
    if column.null_count:
        raise _missing(column, name, "data.split.column")
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return to_numpy(column)
    if pa.types.is_temporal(column.type) and not pa.types.is_duration(column.type):
        width = pa.int32() if column.type.bit_width == 32 else pa.int64()
        return to_numpy(column.cast(width))
    raise ColumnUnusable(
        f"data.split.column={name} holds {column.type} such as '{column[0]}'; expected numbers, or dates and times as "
        "2024-05-31 or 2024-05-31 18:00:00, whose order is known."
    )


def _complete_text(table: pa.Table, name: str, key: str) -> np.ndarray:
    """A column that must not have gaps, as text [rows]."""
    text = column_text(table[name], name)
    if text.null_count:
        raise _missing(text, name, key)
    return np.array(text.to_pylist(), dtype=np.str_)


def _missing(column: pa.ChunkedArray, name: str, key: str) -> DataError:
    first = pc.index(pc.is_null(column), True).as_py() + 1
    kind = TargetUnusable if key == "data.target" else ColumnUnusable
    return kind(
        f"{key}={name}: {column.null_count} rows have no value, the first is row {first} (counted from 1, after the "
        "header); expected a value in every row. Fill them in or remove these rows."
    )


def _ordered(labels: list[str]) -> list[str]:
    """Numbers by size, other labels by alphabet."""
    return sorted(labels, key=float) if all(_is_number(label) for label in labels) else sorted(labels)


def _is_number(label: str) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True
