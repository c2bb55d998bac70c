"""The record: what every run leaves behind, and all that analysis reads.

A record is a directory with ``record.json``, ``config.yaml``, ``history.parquet`` and
``predictions.parquet``; docs/reference/record.md describes each column. Whatever writes these files, be it a
net, a forest or another program, can be compared. Writing is atomic (a temporary sibling, then a rename) and
the same rows give the same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heldout.errors import UserError
from heldout.predictions import Predictions
from heldout.scoring import CLASSIFICATION, SCORINGS, Scoring, scoring_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

FORMAT = 1
RECORD_FILE = "record.json"
CONFIG_FILE = "config.yaml"
HISTORY_FILE = "history.parquet"
PREDICTIONS_FILE = "predictions.parquet"

SPLITS = ("train", "validation", "test")
STATUSES = ("finished", "failed", "killed")
KINDS = ("deep", "baseline")
# what record.json must hold, and of which type; everything else in it is optional
REQUIRED: dict[str, type] = {
    "format": int,
    "name": str,
    "data": str,
    "family": str,
    "kind": str,
    "seed": int,
    "status": str,
}
REQUIRED_OF_CLASSIFICATION: dict[str, type] = {"classes": list}
# of the history, beside the measures of the task
HISTORY_COLUMNS = ("epoch", "step", "split", "learning_rate", "seconds")

_REPEAT = "Run the training again to write it anew"

# ids, target and probabilities: what classification needs
PredictionRows = tuple["Sequence[str] | np.ndarray", "np.ndarray", "np.ndarray"]
AnyRows = Mapping[str, "PredictionRows | Predictions"]


class RecordError(UserError):
    """A record that is missing, incomplete, corrupt or of another format."""


@dataclass(frozen=True)
class Record:
    """One run, read back. Tables are read from disk when first asked for."""

    path: Path
    info: dict[str, Any]

    @classmethod
    def load(cls, path: Path | str) -> Record:
        """Read ``record.json`` in the directory `path`.

        Raises RecordError when the directory or file is missing, is no JSON object, or lacks a required
        field.
        """
        directory = Path(path)
        file = directory / RECORD_FILE
        try:
            info = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RecordError(f"{directory} holds no {RECORD_FILE}; expected the directory of one run") from None
        except (OSError, ValueError) as error:
            raise RecordError(f"{file} cannot be read: {error}. {_REPEAT}") from error
        check_info(info, file)
        return cls(directory, info)

    @property
    def task(self) -> str:
        """What was predicted; a record that does not say is one of a classification."""
        return str(self.info.get("task") or CLASSIFICATION)

    @property
    def scoring(self) -> Scoring:
        """How the task is scored."""
        return scoring_of(self.task)

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row per epoch and split, by epoch; empty when the run failed before its first epoch."""
        if not (self.path / HISTORY_FILE).exists() and self.info["status"] != "finished":
            table = _history_table([], self.scoring)
        else:
            columns = (*HISTORY_COLUMNS, self.scoring.loss.name, self.scoring.score.name)
            table = _read_parquet(self.path / HISTORY_FILE, columns)
        rows: pd.DataFrame = table.to_pandas()
        return rows.sort_values(["epoch", "split"], kind="stable", ignore_index=True)

    @property
    def measured(self) -> tuple[str, ...]:
        """The measures of the task that the history has at every epoch."""
        history = self.history
        return tuple(name for name in self.scoring.names if name in history and not history[name].isna().any())

    def kept(self, split: str, metric: str) -> float:
        """A metric of a finished run on a split, at the epoch that is kept."""
        history = self.history
        row = history[(history["epoch"] == self.info["kept_epoch"]) & (history["split"] == split)]
        return float(row[metric].iloc[0])

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row per split and example; raises RecordError when the run left none."""
        rows: pd.DataFrame = self._predictions_table.to_pandas()
        return rows

    @cached_property
    def prediction_splits(self) -> tuple[str, ...]:
        """The splits with predictions, in the order train, validation, test; empty when the run left none."""
        if not (self.path / PREDICTIONS_FILE).exists():
            return ()
        present = set(self._predictions_table.column("split").unique().to_pylist())
        return tuple(split for split in SPLITS if split in present)

    def predictions_of(self, split: str) -> Predictions:
        """The predictions of one split as arrays; raises RecordError when missing or malformed."""
        import pyarrow.compute as pc

        table = self._predictions_table
        rows = table.filter(pc.equal(table.column("split"), split)).combine_chunks()
        file = self.path / PREDICTIONS_FILE
        if rows.num_rows == 0:
            raise RecordError(f"{file} has no rows of split {split!r}; it has {', '.join(self.prediction_splits)}")
        ids = rows.column("id").to_numpy(zero_copy_only=False)
        reference = (self.info.get("target") or {}).get("mean")
        found = Predictions(ids, **self._columns(rows), reference=reference)
        _check_rows(split, found, self.scoring, file)
        return found

    def _columns(self, rows: pa.Table) -> dict[str, Any]:
        found: dict[str, Any] = {"columns": {}}
        for name in self.scoring.columns:
            if name == "probabilities":
                found[name] = self._probabilities(rows)
            elif name == "target":
                kind = "int64" if self.task == CLASSIFICATION else "float64"
                found[name] = rows.column(name).to_numpy().astype(kind)
            else:
                found["columns"][name] = rows.column(name).to_numpy().astype("float64")
        found["texts"] = {name: rows.column(name).to_numpy(zero_copy_only=False) for name in self.scoring.texts}
        for name in set(self.scoring.optional) & set(rows.column_names):
            found["columns"][name] = rows.column(name).to_numpy().astype("float64")
        return found

    def _probabilities(self, rows: pa.Table) -> np.ndarray:
        import pyarrow.compute as pc

        values: np.ndarray = pc.list_flatten(rows.column("probabilities")).to_numpy().astype("float32", copy=False)
        classes = len(self.info["classes"])
        lengths = pc.unique(pc.list_value_length(rows.column("probabilities"))).to_pylist()
        if lengths != [classes]:
            raise RecordError(
                f"{self.path / PREDICTIONS_FILE}: each row needs {classes} probabilities, one a class; found lengths "
                f"{lengths}"
            )
        return values.reshape(-1, classes)

    @cached_property
    def _predictions_table(self) -> pa.Table:
        columns = ("split", "id", *self.scoring.columns, *self.scoring.texts)
        return _read_parquet(self.path / PREDICTIONS_FILE, columns)


def find_records(root: Path | str) -> list[Path]:
    """Every directory under `root` (itself included) that holds a record, sorted.

    Hidden directories are passed over: a half-written record may be in one. Raises RecordError if `root` is
    missing.
    """
    root = Path(root)
    if not root.is_dir():
        raise RecordError(f"no folder {root}; expected one with the records of runs. Train something first")
    found = []
    for directory, children, files in os.walk(root, followlinks=True):
        if RECORD_FILE in files:
            found.append(Path(directory))
            children.clear()
        children[:] = [child for child in children if not child.startswith(".")]
    return sorted(found)


def check_info(info: object, source: Path | str) -> None:
    """Check the content of ``record.json``; raises RecordError that names `source` and the field."""
    if not isinstance(info, dict):
        raise RecordError(f"{source} holds a {type(info).__name__}; expected a JSON object")
    task = info.get("task") or CLASSIFICATION
    if task not in SCORINGS:
        raise RecordError(f"{source}: field 'task' is {task!r}; expected one of {', '.join(SCORINGS)}")
    required = REQUIRED | (REQUIRED_OF_CLASSIFICATION if task == CLASSIFICATION else {})
    for field, kind in required.items():
        if field not in info:
            raise RecordError(f"{source} lacks the field {field!r}; docs/reference/record.md lists what is required")
        if not isinstance(info[field], kind) or isinstance(info[field], bool):
            raise RecordError(f"{source}: field {field!r} is {info[field]!r}; expected {kind.__name__}")
    if info["format"] != FORMAT:
        raise RecordError(f"{source} has record format {info['format']}; this version reads format {FORMAT}")
    for field, allowed in (("status", STATUSES), ("kind", KINDS)):
        if info[field] not in allowed:
            raise RecordError(f"{source}: field {field!r} is {info[field]!r}; expected one of {', '.join(allowed)}")


def write_record(directory: Path, info: Mapping[str, Any]) -> None:
    """Write ``record.json`` into `directory`, made if absent.

    Write it last: a directory counts as a record from then on. ``format`` is filled in. Raises RecordError
    when a required field is missing or a value is no JSON (NaN and infinity are none).
    """
    full = {"format": FORMAT, **info}
    file = Path(directory) / RECORD_FILE
    check_info(full, file)
    try:
        text = json.dumps(full, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RecordError(f"{file}: a value cannot be written as JSON: {error}") from error
    _write_atomically(file, lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))


def write_history(path: Path, rows: Sequence[Mapping[str, Any]], task: str = CLASSIFICATION) -> None:
    """Write the history file `path`; a row has epoch, step, split, loss, the score, learning_rate, seconds.

    The score is that of the task: accuracy of classification. Any further key is a metric and becomes a float64 column;
    a key that a row lacks is null there. Raises RecordError when a row has no epoch or a split that is neither train
    nor validation.
    """
    for row in rows:
        if not isinstance(row.get("epoch"), int) or row.get("split") not in SPLITS[:2]:
            raise RecordError(f"{path}: a history row needs an int epoch and a split of train or validation, got {row}")
    _write_table(_history_table(rows, scoring_of(task)), path)


def write_predictions(path: Path, rows: AnyRows, task: str = CLASSIFICATION) -> None:
    """Write the predictions file `path` by split, from `Predictions` or, of classes, `(ids, target, probabilities)`.

    ids: str [n], unique within the split; target: int or float [n]; probabilities: float [n, classes]. Raises
    RecordError when shapes disagree, an id is repeated, a target is no class, a probability is not within 0..1 or a
    number is not finite.
    """
    import pyarrow as pa

    unknown = sorted(set(rows) - set(SPLITS))
    if unknown:
        raise RecordError(f"{path}: unknown split {', '.join(unknown)}; expected {', '.join(SPLITS)}")
    scoring = scoring_of(task)
    tables = [_predictions_of_split(split, rows[split], scoring, path) for split in SPLITS if split in rows]
    _write_table(pa.concat_tables(tables, promote_options="none"), path)


def append_predictions(path: Path, rows: AnyRows, task: str = CLASSIFICATION) -> None:
    """Add splits to an existing predictions file, as `evaluate` does with test, or replace them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    scoring = scoring_of(task)
    old = _read_parquet(path, ("split", "id", *scoring.columns, *scoring.texts))
    tables = {split: old.filter(pc.equal(old.column("split"), split)) for split in SPLITS}
    tables |= {split: _predictions_of_split(split, added, scoring, path) for split, added in rows.items()}
    _write_table(pa.concat_tables([tables[split] for split in SPLITS]), path)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Write a Parquet file of `columns`, Arrow type by name; a key that a row lacks is null there."""
    import pyarrow as pa

    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in columns.items()])
    table = pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)
    _write_table(table, path)


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a Parquet file; raises RecordError when it is missing, damaged or lacks one of `columns`."""
    rows: list[dict[str, Any]] = _read_parquet(path, columns).to_pylist()
    return rows


def write_text(path: Path, text: str) -> None:
    """Write a text file: readers see the old file or the new one."""
    _write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file: readers see the old file or the new one."""
    _write_atomically(path, lambda temporary: temporary.write_bytes(content))


def _history_table(rows: Sequence[Mapping[str, Any]], scoring: Scoring) -> pa.Table:
    import pyarrow as pa

    first = [scoring.loss.name, scoring.score.name]
    further = sorted({key for row in rows for key in row} - {*HISTORY_COLUMNS, *first})
    schema = pa.schema(
        [("epoch", pa.int32()), ("step", pa.int64()), ("split", pa.string())]
        + [(name, pa.float64()) for name in (*first, *further, "learning_rate", "seconds")]
    )
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)


def _predictions_of_split(split: str, rows: PredictionRows | Predictions, scoring: Scoring, path: Path) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    if not isinstance(rows, Predictions):
        ids, target, probabilities = rows
        rows = Predictions(np.asarray(ids), np.asarray(target), np.ascontiguousarray(probabilities, dtype=np.float32))
    _check_shapes(split, rows, scoring, path)
    _check_rows(split, rows, scoring, path)
    columns = {
        "split": pa.array([split] * len(rows.ids), pa.string()),
        "id": pa.array(np.asarray(rows.ids).astype(str).tolist(), pa.string()),
    }
    for name in _given(rows, scoring):
        if name == "probabilities":
            values = np.ascontiguousarray(rows.probabilities, dtype=np.float32)
            offsets = np.arange(len(rows.ids) + 1, dtype=np.int32) * values.shape[1]
            columns[name] = pa.ListArray.from_arrays(offsets, pa.array(values.ravel()))
        elif name == "target":
            kind = np.int32 if scoring.task == CLASSIFICATION else np.float64
            columns[name] = pa.array(rows.target.astype(kind))
        else:
            columns[name] = pa.array(np.asarray(rows.columns[name], dtype=np.float64))
    columns |= {name: pa.array(rows.texts[name].tolist(), pa.string()) for name in scoring.texts}
    return pa.table(columns)


def _given(rows: Predictions, scoring: Scoring) -> tuple[str, ...]:
    """The columns that these predictions have to have, and those that they need not have, but do."""
    return scoring.columns + tuple(name for name in scoring.optional if name in rows.columns)


def _check_shapes(split: str, rows: Predictions, scoring: Scoring, source: Path) -> None:
    n, probabilities = len(rows.ids), rows.probabilities
    if "probabilities" in scoring.columns:
        if probabilities.ndim != 2 or not n == len(rows.target) == len(probabilities):
            raise RecordError(
                f"{source}, split {split}: {n} ids, {len(rows.target)} targets and probabilities of shape "
                f"{list(probabilities.shape)}; expected n, n and [n, classes]"
            )
        return
    given = {"target": rows.target, **rows.columns, **rows.texts}
    wanted = (*_given(rows, scoring), *scoring.texts)
    shapes = {name: list(given[name].shape) if name in given else None for name in wanted}
    if any(shape != [n] for shape in shapes.values()):
        raise RecordError(f"{source}, split {split}: {n} ids and columns of shapes {shapes}; expected [{n}] for each")


def _check_rows(split: str, rows: Predictions, scoring: Scoring, source: Path) -> None:
    import numpy as np

    if len(set(rows.ids.tolist())) != len(rows.ids):
        raise RecordError(f"{source}, split {split}: ids are not unique; each example may have one row")
    if "probabilities" in scoring.columns:
        _check_classes(split, rows.target, rows.probabilities, source)
        return
    for name in _given(rows, scoring):
        values = rows.target if name == "target" else rows.columns[name]
        if not np.isfinite(values).all():
            raise RecordError(
                f"{source}, split {split}: column {name!r} holds NaN or infinity; expected finite numbers"
            )


def _check_classes(split: str, target: np.ndarray, probabilities: np.ndarray, source: Path) -> None:
    classes = probabilities.shape[1]
    if len(target) and not (target.min() >= 0 and target.max() < classes):
        raise RecordError(
            f"{source}, split {split}: targets run from {target.min()} to {target.max()}; expected 0 to {classes - 1}"
        )
    # float32 softmax may exceed 1 by rounding; NaN fails both comparisons
    if not ((probabilities >= -1e-4) & (probabilities <= 1 + 1e-4)).all():
        raise RecordError(f"{source}, split {split}: probabilities must lie within 0 and 1, without NaN")


def _read_parquet(file: Path, columns: Sequence[str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # the one-file reader: read_table would take the folder names above the file for partitions
        with pq.ParquetFile(file) as parquet:
            table = parquet.read()
    except FileNotFoundError:
        raise RecordError(f"{file} is missing; a finished run has one. {_REPEAT}") from None
    except (pa.ArrowException, OSError) as error:
        raise RecordError(f"{file} is no readable Parquet file: {error}. {_REPEAT}") from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise RecordError(f"{file} lacks the column {', '.join(missing)}; it has {', '.join(table.column_names)}")
    return table


def _write_table(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    _write_atomically(Path(path), lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def _write_atomically(file: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary sibling and move it in place: readers see the old file or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        write(temporary)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
