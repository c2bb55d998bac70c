"""What the columns of a user's file say of its examples beside their features: ids, classes, and how to split."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from heldout.config.data import FileData, LabelledData, SplitMethod, TaskKind
from heldout.data.arrow import to_numpy
from heldout.data.card import SPLITS
from heldout.data.columns import column_text, first_not_a_number, is_numeric, is_text, parse_numbers
from heldout.data.errors import ColumnMissing, ColumnUnusable, DataError, TargetUnusable, shown

# a target of more different values than this is suspected to be a measure or a name, not a class
MOST_VALUES = 20
BY_COLUMN = (SplitMethod.grouped, SplitMethod.time, SplitMethod.given)


def check_named(table: pa.Table, named: dict[str, str | None], config: FileData) -> None:
    """That the columns which the config names by these keys are there.

    Raises:
        ColumnMissing: one is not.
    """
    for key, name in named.items():
        if name is not None and name not in table.column_names:
            hint = " Is data.separator right?" if len(table.column_names) == 1 else ""
            raise ColumnMissing(
                f"{key}: there is no column '{name}' in {config.path}. Its columns: "
                f"{shown(table.column_names, most=20)}.{hint}"
            )


def split_column(config: FileData) -> str | None:
    """The column by which to split, where the method needs one.

    Raises:
        ColumnMissing: the config does not name it.
    """
    if config.split.method not in BY_COLUMN:
        return None
    if config.split.column is None:
        raise ColumnMissing(
            f"data.split.method={config.split.method.name} on a table needs data.split.column; expected the name "
            "of the column that holds the group, the time or the name of the split."
        )
    return config.split.column


def ids(table: pa.Table, config: FileData, prefix: str = "row") -> np.ndarray:
    """The id column, or numbered rows, text [rows]."""
    if config.id is None:
        return np.array([f"{prefix}-{row}" for row in range(1, table.num_rows + 1)])
    return complete_text(table, config.id, "data.id")


def target(table: pa.Table, config: LabelledData) -> np.ndarray:
    """The class of each row, text [rows].

    Raises:
        TargetUnusable: a class is missing, or the column is made of measures or names.
    """
    labels = complete_text(table, config.target, "data.target")
    classes = np.unique(labels)
    fractions = [label for label in classes.tolist() if _is_number(label) and not float(label).is_integer()]
    if len(classes) > MOST_VALUES and fractions:
        raise TargetUnusable(
            f"data.target={config.target} holds {len(classes)} different numbers such as {shown(fractions, most=3)}; "
            "classification needs classes. Set data.task=regression (with task=regress) to predict the number, choose "
            "another column, or cut this one into ranges first."
        )
    if len(classes) > max(MOST_VALUES, len(labels) // 2):
        raise TargetUnusable(
            f"data.target={config.target} holds {len(classes)} different values in {len(labels)} rows; expected a few "
            "classes with several rows each. Choose another column."
        )
    return labels


def numbers(table: pa.Table, config: LabelledData) -> np.ndarray:
    """The number to predict of each row, float64 [rows].

    Raises:
        TargetUnusable: a number is missing, infinite, or a value is none.
    """
    column = table[config.target]
    key = f"data.target={config.target}"
    if not is_numeric(column.type):
        column = column_text(column, config.target)
        row, value = first_not_a_number(column)
        if row >= 0:
            or_classes = ", or set data.task=classification" if config.task is TaskKind.regression else ""
            raise TargetUnusable(
                f"{key}: row {row + 1} holds '{value}' (rows counted from 1, after the header); data.task="
                f"{config.task.name} needs a number in every row. Mend the value{or_classes}."
            )
        column = parse_numbers(column, config.target)
    if column.null_count:
        raise _missing(column, config.target, "data.target")
    values = to_numpy(column.cast(pa.float64()))
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise TargetUnusable(
            f"{key}: row {row + 1} holds {values[row]}; expected a finite number in every row. Remove such rows."
        )
    return values


def target_of(table: pa.Table, config: LabelledData) -> tuple[np.ndarray, list[str]]:
    """Classes and their order or, with data.task=regression, numbers and an empty list."""
    if config.task is TaskKind.regression:
        return numbers(table, config), []
    labels = target(table, config)
    return labels, ordered(np.unique(labels).tolist())


def split_names(table: pa.Table, config: FileData) -> np.ndarray | None:
    """The split of each row, text [rows]; None unless the method is `given`."""
    if config.split.method is not SplitMethod.given:
        return None
    names = complete_text(table, str(config.split.column), "data.split.column")
    if unknown := sorted(set(names.tolist()) - set(SPLITS)):
        raise ColumnUnusable(
            f"data.split.column={config.split.column} holds {shown(unknown)}; expected only {', '.join(SPLITS)}."
        )
    return names


def group(table: pa.Table, config: FileData) -> np.ndarray | None:
    """The group of each row, text [rows]; None unless the method is `grouped`."""
    if config.split.method is not SplitMethod.grouped:
        return None
    return complete_text(table, str(config.split.column), "data.split.column")


def time(table: pa.Table, config: FileData) -> np.ndarray | None:
    """Numbers that grow with the time of each row, [rows]; None unless the method is `time`."""
    if config.split.method is not SplitMethod.time:
        return None
    name = str(config.split.column)
    column = table[name]
    if column.null_count:
        raise _missing(column, name, "data.split.column")
    if is_moment(column.type):
        return moments(column)
    raise ColumnUnusable(
        f"data.split.column={name} holds {column.type} such as '{column[0]}'; expected numbers, or dates and times as "
        "2024-05-31 or 2024-05-31 18:00:00, whose order is known."
    )


def is_moment(kind: pa.DataType) -> bool:
    """Whether values of this type have an order in time: numbers, dates and times."""
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return bool(number or (pa.types.is_temporal(kind) and not pa.types.is_duration(kind)))


def moments(column: pa.ChunkedArray) -> np.ndarray:
    """A column of such a type, without gaps, as numbers that grow with time, [rows]."""
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int32() if column.type.bit_width == 32 else pa.int64())
    return to_numpy(column)


def complete_text(table: pa.Table, name: str, key: str) -> np.ndarray:
    """A column that must not have gaps, as text [rows]."""
    text = column_text(table[name], name)
    if text.null_count:
        raise _missing(table[name], name, key)
    return np.array(text.to_pylist(), dtype=np.str_)


def _missing(column: pa.ChunkedArray, name: str, key: str) -> DataError:
    gaps = pc.is_null(column, nan_is_null=True)
    first = pc.index(gaps, True).as_py() + 1
    words = "" if is_text(column.type) else " Among numbers and dates a word such as NA is no value."
    kind = TargetUnusable if key == "data.target" else ColumnUnusable
    return kind(
        f"{key}={name}: {pc.sum(gaps).as_py()} rows have no value, the first is row {first} (counted from 1, after the "
        f"header); expected a value in every row. Fill them in or remove these rows.{words}"
    )


def ordered(labels: list[str]) -> list[str]:
    """Numbers by size, other labels by alphabet."""
    return sorted(labels, key=float) if all(_is_number(label) for label in labels) else sorted(labels)


def _is_number(label: str) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True
