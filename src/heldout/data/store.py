"""Splits as Arrow IPC files: written byte-identically, read as views of the memory map.

A file holds one uncompressed record batch with the columns `id` (text), `target` (int32; numbers: float64) and one
column an input: a fixed-shape tensor, or int32 for the lengths of series. The ids of clipped recordings, where there
are some, stand in the metadata of its schema.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from heldout.data.arrow import from_numpy, from_texts, to_numpy
from heldout.data.card import SPLITS, Card, InputSpec
from heldout.data.errors import CardMismatch, CorruptFile, DataError, TestSetSealed
from heldout.data.raw import RawData

# key of the metadata
CLIPPED = b"clipped"


@dataclass(frozen=True, eq=False)
class Split:
    """One split: ids text [n], inputs by name [n, ...] as the card states, target int64 or, of numbers, float64 [n].

    The inputs are read-only views of the file; copy before changing them.
    """

    ids: np.ndarray
    inputs: dict[str, np.ndarray]
    target: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def file_name(split: str) -> str:
    return f"{split}.arrow"


def input_specs(inputs: dict[str, np.ndarray]) -> dict[str, InputSpec]:
    """dtype and shape of each input, as the card holds them."""
    return {name: {"dtype": array.dtype.name, "shape": list(array.shape[1:])} for name, array in inputs.items()}


def write_split(path: Path, data: RawData) -> None:
    """Writes all examples of `data` into one file; the same examples give the same bytes."""
    columns = {"id": from_texts(data.ids.tolist()), "target": to_column(data.targets())}
    columns |= {name: to_column(array) for name, array in data.inputs.items()}
    batch = pa.record_batch(columns)
    if data.clipped is not None and data.clipped.any():
        batch = batch.replace_schema_metadata({CLIPPED: json.dumps(data.ids[data.clipped].tolist())})
    # images of some gigabytes have more values than an int32 counts; Arrow for C++ and Python reads them
    options = pa.ipc.IpcWriteOptions(allow_64bit=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)


def read_split(directory: Path, split: str) -> Split:
    """The train or validation split of a prepared data set.

    Raises:
        TestSetSealed: for "test"; `heldout.data.test_split.open_test_split` is the one way to it.
        CardUnreadable, CardMismatch, CorruptFile: the folder does not hold what `prepare` wrote.
    """
    if split == "test":
        raise TestSetSealed(
            "the test split is sealed: it is for the final number only, and each opening is counted. Choose by "
            "validation, and run the evaluate stage (open_test_split in code) at the end."
        )
    return map_split(directory, split, Card.load(directory))


def clipped_ids(directory: Path, split: str) -> list[str]:
    """The ids of the clipped recordings of a split that was read before."""
    with pa.memory_map(str(Path(directory) / file_name(split))) as source:
        metadata = pa.ipc.open_file(source).schema.metadata or {}
    ids: list[str] = json.loads(metadata.get(CLIPPED, b"[]"))
    return ids


def map_split(directory: Path, split: str, card: Card) -> Split:
    """Any split; for this package only, so that the test split has no second way out of it."""
    if split not in SPLITS:
        raise DataError(f"there is no split '{split}'; expected one of {', '.join(SPLITS)}.")
    path = Path(directory) / file_name(split)
    try:
        with pa.memory_map(str(path)) as source:
            reader = pa.ipc.open_file(source)
            if reader.num_record_batches != 1:
                raise CardMismatch(f"{path} holds {reader.num_record_batches} record batches; expected one.")
            batch = reader.get_batch(0)
            batch.validate(full=True)
            if any(column.null_count for column in batch.columns):
                raise CorruptFile(f"{path} has cells without a value. Prepare the data again.")
    except FileNotFoundError:
        raise CardMismatch(f"{path}: the card describes this file, but it is absent. Prepare the data again.") from None
    except (pa.ArrowException, OSError) as error:
        raise CorruptFile(f"{path} is not a readable Arrow file ({error}). Prepare the data again.") from None
    _check_against_card(path, batch, split, card)
    return Split(
        ids=np.array(batch.column("id").to_pylist(), dtype=np.str_),
        inputs={name: _to_view(batch.column(name), spec) for name, spec in card.inputs.items()},
        target=to_numpy(batch.column("target")).astype(np.int64 if card.classes else np.float64),
    )


def _check_against_card(path: Path, batch: pa.RecordBatch, split: str, card: Card) -> None:
    expected = pa.schema(
        [("id", pa.string()), ("target", pa.int32() if card.classes else pa.float64())]
        + [(name, _column_type(spec["dtype"], spec["shape"])) for name, spec in card.inputs.items()]
    )
    if not batch.schema.equals(expected):
        raise CardMismatch(
            f"{path} has the columns {_told(batch.schema)}, but the card states {_told(expected)}. Prepare the data "
            "again."
        )
    if batch.num_rows != card.counts[split]:
        raise CardMismatch(
            f"{path} holds {batch.num_rows} examples, but the card states {card.counts[split]}. Prepare the data again."
        )


def _told(schema: pa.Schema) -> str:
    return ", ".join(f"{item.name}: {item.type}" for item in schema)


def _column_type(dtype: str, shape: list[int]) -> pa.DataType:
    value_type = pa.from_numpy_dtype(np.dtype(dtype))
    return pa.fixed_shape_tensor(value_type, shape) if shape else value_type


def to_column(array: np.ndarray) -> pa.Array:
    """An array [n, ...] as n values, or as n tensors of one shape."""
    values = from_numpy(array.reshape(-1))
    if array.ndim == 1:
        return values
    # not FixedShapeTensorArray.from_numpy_ndarray: it reads a permutation into strides of axes of length one
    storage = pa.FixedSizeListArray.from_arrays(values, math.prod(array.shape[1:]))
    return pa.ExtensionArray.from_storage(_column_type(array.dtype.name, list(array.shape[1:])), storage)


def _to_view(column: pa.Array, spec: InputSpec) -> np.ndarray:
    values = column.storage.flatten() if spec["shape"] else column
    return to_numpy(values).reshape(-1, *spec["shape"])
