"""Time series of the user's: csv or parquet, long or wide, or .ts files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from heldout.config.data import DataConfig, MissingSteps, SeriesData, SeriesLayout, SplitMethod, TaskKind
from heldout.data.arrow import from_numpy
from heldout.data.columns import column_numbers, first_not_a_number, is_text
from heldout.data.errors import ColumnMissing, ColumnUnusable, DataError, FileUnreadable, NotFinite, shown
from heldout.data.hashing import hash_file, hash_json
from heldout.data.raw import RawData
from heldout.data.sources import _labels
from heldout.data.sources._files import read_table
from heldout.data.sources._registry import source
from heldout.data.sources._ts import read_ts, stack

TS = ".ts"


@dataclass(frozen=True)
class _Part:
    """Series float64 [channels, steps] of one file, with a table of one row a series: id, class, how to split."""

    series: list[np.ndarray]
    rows: pa.Table


@source("series")
def load(config: DataConfig) -> RawData:
    """All series; they may differ in length, and then come with `length` and zeros after their end.

    Raises:
        FileUnreadable, ColumnMissing, ColumnUnusable, NotFinite, TargetUnusable: see there.
    """
    if not isinstance(config, SeriesData):
        raise DataError("data.source=series needs path; expected a data file that begins with 'series'.")
    paths = [Path(config.path)] + ([Path(config.test_path)] if config.test_path else [])
    if config.test_path and config.split.method is not SplitMethod.given:
        raise DataError(
            f"data.test_path={config.test_path} with data.split.method={config.split.method.name}: expected "
            "data.split.method=given, since the second file is the test set."
        )
    parts = [_read(path, config) for path in paths]
    series = [one for part in parts for one in part.series]
    target = np.concatenate([_labels.target_of(part.rows, config)[0] for part in parts])
    ids = np.concatenate([_ids(part, config, prefix) for part, prefix in zip(parts, _prefixes(paths), strict=True)])
    first = parts[0].rows
    return RawData(
        ids=ids,
        inputs=stack(paths[0], [_complete(one, id_, config) for one, id_ in zip(series, ids, strict=True)], list(ids)),
        target=target,
        classes=[] if config.task is TaskKind.regression else _labels.ordered(np.unique(target).tolist()),
        split=_split_by_file(parts) if config.test_path else _labels.split_names(first, config),
        group=_labels.group(first, config),
        time=_labels.time(first, config),
        file_hash=hash_json([hash_file(path) for path in paths]),
        license="not stated",
        description=f"{len(series)} series of {' and '.join(path.name for path in paths)}.",
    )


def read_series(path: Path, config: SeriesData) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Ids [n] and inputs of the series in a file like that of `config`, with or without their classes.

    Raises:
        FileUnreadable, ColumnMissing, ColumnUnusable, NotFinite: see there.
    """
    part = _read(path, config) if path.suffix.lower() == TS else _read_unlabelled(path, config)
    ids = _ids(part, config, "series")
    return ids, stack(
        path, [_complete(one, name, config) for one, name in zip(part.series, ids, strict=True)], list(ids)
    )


def _prefixes(paths: list[Path]) -> list[str]:
    return ["series"] if len(paths) == 1 else ["train", "test"]


def _split_by_file(parts: list[_Part]) -> np.ndarray:
    return np.repeat(["train", "test"], [len(part.series) for part in parts])


def _ids(part: _Part, config: SeriesData, prefix: str) -> np.ndarray:
    if config.id is None or config.id not in part.rows.column_names:
        return np.array([f"{prefix}-{row}" for row in range(1, len(part.series) + 1)])
    return _labels.complete_text(part.rows, config.id, "data.id")


def _read(path: Path, config: SeriesData) -> _Part:
    if path.suffix.lower() == TS:
        found = read_ts(path)
        if not found.series:
            raise FileUnreadable(f"{path} holds no series; expected lines after '@data'.")
        return _Part(found.series, pa.table({config.target: pa.array(found.labels)}))
    table = read_table(path, config)
    by = None if config.test_path else _labels.split_column(config)
    named = {"data.target": config.target, "data.id": config.id, "data.time": config.time, "data.split.column": by}
    _labels.check_named(table, named | {f"data.values={name}": name for name in config.values}, config)
    other = {name for name in named.values() if name is not None}
    values = list(config.values) or [name for name in table.column_names if name not in other]
    if not values:
        raise ColumnUnusable(f"{path} has no column left that holds values; its columns: {shown(table.column_names)}.")
    read = _long if config.layout is SeriesLayout.long else _wide
    return read(table, values, config, by)


def _read_unlabelled(path: Path, config: SeriesData) -> _Part:
    table = read_table(path, config, key="path")
    named = {"data.id": config.id if config.layout is SeriesLayout.long else None, "data.time": config.time}
    _labels.check_named(table, named | {f"data.values={name}": name for name in config.values}, config)
    other = {config.target, config.id, config.time, config.split.column}
    values = list(config.values) or [name for name in table.column_names if name not in other]
    if not values:
        raise ColumnUnusable(f"{path} has no column left that holds values; its columns: {shown(table.column_names)}.")
    read = _long if config.layout is SeriesLayout.long else _wide
    # classes, where the file has some, play no part
    return read(table, values, replace(config, target=""), None)


def _wide(table: pa.Table, values: list[str], config: SeriesData, by: str | None) -> _Part:
    """A row a series of one channel; cells without a value at the end of a row are no steps."""
    numbers = np.stack([_values(table, name, config) for name in values], axis=1)
    steps = [int(known[-1]) + 1 if len(known := np.flatnonzero(~np.isnan(row))) else 0 for row in numbers]
    return _Part([row[None, :end] for row, end in zip(numbers, steps, strict=True)], table)


def _long(table: pa.Table, values: list[str], config: SeriesData, by: str | None) -> _Part:
    """A row a step; the rows of a series share its id, and stand in the order of the time column or of the file."""
    if config.id is None:
        raise ColumnMissing(
            f"data.layout=long needs data.id, the column that says to which series a row belongs; the columns of "
            f"{config.path}: {shown(table.column_names, most=20)}. For a row a series take data.layout=wide."
        )
    names = _labels.complete_text(table, config.id, "data.id")
    members, first, row_of = np.unique(names, return_index=True, return_inverse=True)
    numbers = np.stack([_values(table, name, config) for name in values])
    position = np.arange(len(names)) if config.time is None else _moments(table, config.time)
    order = np.lexsort((position, row_of))
    _check_order(names[order], position[order], config)
    ends = np.cumsum(np.bincount(row_of, minlength=len(members)))
    series = [numbers[:, rows] for rows in np.split(order, ends[:-1])]
    keys = {"data.target": config.target, "data.split.column": by}
    for key, name in keys.items():
        if name:
            _check_constant(_labels.complete_text(table, name, key), first[row_of], names, f"{key}={name}")
    return _Part(series, table.take(from_numpy(first)))


def _values(table: pa.Table, name: str, config: SeriesData) -> np.ndarray:
    """A column of values as float32 [rows], NaN where one is missing."""
    try:
        return column_numbers(table[name], name)
    except ColumnUnusable:
        # its advice is for tables
        kind = table[name].type
        row, value = first_not_a_number(table[name]) if is_text(kind) else (0, str(table[name][0]))
        what = "a channel" if config.layout is SeriesLayout.long else "a step"
        raise ColumnUnusable(
            f"column '{name}' of {config.path}, {what} of the series, holds '{value}' in row {row + 1} (counted from "
            "1, after the header); expected numbers. Mend the value, leave the cell empty if it is missing, or list in "
            "data.values the columns that hold numbers."
        ) from None


def _moments(table: pa.Table, name: str) -> np.ndarray:
    column = table[name]
    if column.null_count or not (_labels.is_moment(column.type)):
        raise ColumnUnusable(
            f"data.time={name} holds {column.type} with {column.null_count} missing values; expected a number, or a "
            "date and time as 2024-05-31 18:00:00, in every row."
        )
    return _labels.moments(column)


def _check_order(names: np.ndarray, position: np.ndarray, config: SeriesData) -> None:
    same = (names[1:] == names[:-1]) & (position[1:] == position[:-1])
    if same.any():
        row = int(np.flatnonzero(same)[0])
        raise ColumnUnusable(
            f"data.time={config.time}: series '{names[row]}' has two rows at the time {position[row]}; expected a "
            "time of its own for each step. Is data.id the right column?"
        )


def _check_constant(values: np.ndarray, first: np.ndarray, names: np.ndarray, key: str) -> None:
    differs = np.flatnonzero(values != values[first])
    if len(differs):
        row = int(differs[0])
        raise ColumnUnusable(
            f"{key}: series '{names[row]}' has '{values[first[row]]}' in one row and '{values[row]}' in row {row + 1}; "
            "expected one value in all rows of a series."
        )


def _complete(series: np.ndarray, name: str, config: SeriesData) -> np.ndarray:
    """The series without missing steps."""
    missing = np.isnan(series)
    if not missing.any():
        return series
    channel, step = np.argwhere(missing)[0]
    if config.missing is MissingSteps.refuse or missing.all(axis=1).any():
        without = " in a whole channel" if missing.all(axis=1).any() else ""
        raise NotFinite(
            f"series '{name}' has no value{without} at step {step + 1}, channel {channel + 1}, and {missing.sum()} "
            "missing values in all; expected a value at every step. Fill them in, or set data.missing=interpolate "
            "for values between known ones."
        )
    steps = np.arange(series.shape[1])
    return np.stack([np.interp(steps, steps[~gone], one[~gone]) for one, gone in zip(series, missing, strict=True)])
