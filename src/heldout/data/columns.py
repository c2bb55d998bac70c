"""Columns of a table as arrays: numbers, texts, and codes of categories.

The same functions read the table that is prepared and the rows that are predicted later, so that a value means the
same in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from heldout.data.arrow import filled, from_texts
from heldout.data.card import Card, Column
from heldout.data.errors import ColumnMissing, ColumnUnusable, DataError, NotFinite, shown

if TYPE_CHECKING:
    import pandas as pd

TEXT = pa.large_string()
# what R, pandas, SQL and spreadsheets write where a number is missing; among texts these are texts like others
MISSING_WORDS = (
    *("NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "NULL", "null", "NaN", "nan", "-NaN", "-nan"),
    *("1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)


def encode_table(table: pa.Table | pd.DataFrame, card: Card) -> dict[str, np.ndarray]:
    """Rows with the raw columns of the card → the inputs models read.

    Returns:
        numeric float32 [rows, numeric columns], NaN for missing; categorical int32 [rows, categorical columns], 0 for
        missing or not seen in train. Columns that the card does not name are left aside.

    Raises:
        ColumnMissing: a column of the card is not there.
        ColumnUnusable, NotFinite: a numeric column holds text or infinite values.
    """
    names = [column["name"] for column in card.columns]
    if not names:
        raise DataError(f"data set '{card.name}' is a {card.modality}, not a table: it has no columns to encode.")
    given = table.column_names if isinstance(table, pa.Table) else [str(name) for name in table.columns]
    if missing := [name for name in names if name not in given]:
        raise ColumnMissing(f"the columns {shown(missing)} are missing; the rows have {shown(given)}.")
    if not isinstance(table, pa.Table):
        table = _from_pandas(table, names)
    return encode_columns(table, card.columns)


def encode_columns(table: pa.Table, columns: list[Column]) -> dict[str, np.ndarray]:
    """The inputs `numeric` and `categorical`, each where there are such columns."""
    numeric = [column_numbers(table[c["name"]], c["name"]) for c in columns if c["kind"] == "numeric"]
    categorical = [
        _codes(column_text(table[c["name"]], c["name"]), c["categories"]) for c in columns if c["kind"] == "categorical"
    ]
    parts = {"numeric": numeric, "categorical": categorical}
    return {name: np.stack(part, axis=1) for name, part in parts.items() if part}


def column_numbers(column: pa.ChunkedArray, name: str) -> np.ndarray:
    """A numeric column as float32 [rows], NaN where a value is missing.

    Text is read as numbers where all of it is numbers, or words for missing ones.

    Raises:
        ColumnUnusable: a value is no number; the message names the first and its row.
        NotFinite: a value is infinite, or too large for float32.
    """
    column = _decoded(column)
    if is_text(column.type):
        column = parse_numbers(column, name)
    elif not (is_numeric(column.type) or pa.types.is_boolean(column.type) or pa.types.is_null(column.type)):
        raise ColumnUnusable(
            f"column '{name}' holds values of type {column.type}, which are no numbers. Declare it as categorical or "
            f"ignore in data.columns."
        )
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    wide = filled(column.cast(pa.float64()), np.nan)
    with np.errstate(over="ignore"):
        values = wide.astype(np.float32)
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise NotFinite(
            f"column '{name}', row {row + 1}: {wide[row]} is infinite or too large for float32; expected finite "
            "numbers, or an empty cell where a value is missing."
        )
    return values


def column_text(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Any simple column as text, null where a value is missing.

    Whole numbers read alike from whole-number and floating columns (a missing value makes pandas turn the one into the
    other): 3 and 3.0 are both "3".

    Raises:
        ColumnUnusable: the values are lists, structures or bytes.
    """
    column = _decoded(column)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.nulls(len(column), column.type), column)
        with suppress(pa.ArrowInvalid):  # where some are fractions, they keep their point
            column = column.cast(pa.int64())
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        raise ColumnUnusable(f"column '{name}' holds {column.type}; expected texts, numbers or booleans.")
    return column.cast(TEXT)


def _codes(text: pa.ChunkedArray, categories: list[str]) -> np.ndarray:
    index = pc.index_in(text, value_set=from_texts(categories).cast(TEXT))
    return filled(index, -1) + np.int32(1)


def _from_pandas(frame: pd.DataFrame, names: list[str]) -> pa.Table:
    arrays: list[Any] = []
    for name in names:
        try:
            arrays.append(pa.chunked_array([pa.Array.from_pandas(frame[name])]))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ColumnUnusable(f"column '{name}' mixes types: {error}; expected one type of value.") from None
    return pa.table(arrays, names=names)


def parse_numbers(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Texts as float64, null where one is a word for a missing number.

    Raises:
        ColumnUnusable: a text is no number; the message names the first and its row.
    """
    try:
        return without(pc.utf8_trim_whitespace(column)).cast(pa.float64())
    except pa.ArrowInvalid:
        row, value = first_not_a_number(column)
        raise ColumnUnusable(
            f"column '{name}' is declared numeric, but row {row + 1} holds '{value}' (rows counted from 1, after the "
            "header); expected numbers. Mend the value, leave the cell empty if it is missing, or declare the column "
            "as categorical or ignore in data.columns."
        ) from None


def without(text: pa.ChunkedArray, words: Sequence[str] = MISSING_WORDS) -> pa.ChunkedArray:
    """Texts, null where one is any of these words: by default, of those for a missing number."""
    found = pc.is_in(text, value_set=from_texts(words).cast(text.type))
    return pc.if_else(found, pa.nulls(len(text), text.type), text) if pc.any(found).as_py() else text


def first_not_a_number(column: pa.ChunkedArray) -> tuple[int, str]:
    """Position and value of the first text that is neither number nor word for a missing one; (-1, "") without."""
    for row, value in enumerate(without(pc.utf8_trim_whitespace(column)).to_pylist()):
        if value is not None and not is_number(value):
            return row, value
    return -1, ""


def has_values(column: pa.ChunkedArray) -> bool:
    """Whether any row has a value; NaN and words for missing numbers are none."""
    if pa.types.is_floating(column.type):
        return bool(pc.any(pc.invert(pc.is_nan(column))).as_py())
    known = without(column) if is_text(column.type) else column
    return bool(known.null_count < len(known))


def is_number(text: str) -> bool:
    """Whether a text reads as a decimal number."""
    try:
        from_texts([text.strip()]).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def is_numeric(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers; booleans are none."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
