"""The kind of a column that the config does not declare."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from heldout.config.data import ColumnKind
from heldout.data.columns import MISSING_WORDS, column_text, first_not_a_number, is_number, is_numeric
from heldout.data.errors import ColumnUnusable

# a column of texts with more different values than both of these is taken for names or notes
MOST_CATEGORIES = 50
MOST_DISTINCT_SHARE = 0.5


def infer_kind(column: pa.ChunkedArray, name: str) -> ColumnKind:
    """Numbers are numeric; booleans and texts are categorical.

    Raises:
        ColumnUnusable: a guess would likely be wrong: dates, texts that are mostly numbers, texts that differ in nearly
            every row. The user then has to say what the column is.
    """
    if not name:
        raise ColumnUnusable(
            "a column has no name, as when pandas writes its index; row numbers may give the class away. Expected a "
            "name for each column: write the file with index=False, or remove the column."
        )
    kind = column.type
    if is_numeric(kind) or pa.types.is_null(kind):
        return ColumnKind.numeric
    if pa.types.is_boolean(kind) or pa.types.is_dictionary(kind):
        return ColumnKind.categorical
    if pa.types.is_temporal(kind):
        raise _undeclared(name, f"holds {kind}, which no model reads as it is")
    distinct = [one for one in pc.unique(column_text(column, name)).to_pylist() if one not in (None, *MISSING_WORDS)]
    if not distinct:
        return ColumnKind.numeric
    numbers = sum(is_number(value) for value in distinct)
    if numbers > len(distinct) / 2:
        row, value = first_not_a_number(column_text(column, name))
        detail = f", but row {row + 1} holds '{value}'" if row >= 0 else " stored as text"
        raise _undeclared(name, f"holds mostly numbers{detail}")
    if len(distinct) > max(MOST_CATEGORIES, MOST_DISTINCT_SHARE * len(column)):
        raise _undeclared(name, f"holds {len(distinct)} different texts in {len(column)} rows")
    return ColumnKind.categorical


def _undeclared(name: str, reason: str) -> ColumnUnusable:
    return ColumnUnusable(
        f"column '{name}' {reason}; its kind must be declared. Expected data.columns to say whether it is numeric, "
        "categorical or to ignore."
    )
