"""New rows for prediction mean what the rows of training meant."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from heldout.data.card import Card
from heldout.data.columns import column_numbers, column_text, encode_table
from heldout.data.errors import ColumnMissing, ColumnUnusable, DataError, NotFinite
from heldout.data.store import read_split


def chunked(values, kind=None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


@pytest.fixture
def card() -> Card:
    def column(name: str, *categories: str):
        return {"name": name, "kind": "categorical" if categories else "numeric", "categories": list(categories)}

    return Card(
        name="t",
        source="table",
        modality="table",
        classes=["a", "b"],
        counts={},
        class_counts={},
        inputs={},
        columns=[
            column("size", "1", "3"),
            column("age"),
            column("city", "Bonn", "Ulm"),
            column("flag", "false", "true"),
        ],
    )


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame({"age": [1, 2], "city": ["Ulm", "Bonn"], "size": [1, 3], "flag": [True, False]} | columns)


def test_the_rows_of_training_encode_to_what_was_stored(prepared_table):
    folder, card = prepared_table
    given = pd.read_csv(folder.parent / "rows.csv", index_col="id")
    split = read_split(folder, "train")
    encoded = encode_table(given.loc[split.ids], card)
    assert encoded.keys() == split.inputs.keys()
    for name, array in split.inputs.items():
        assert encoded[name].dtype == array.dtype
        np.testing.assert_array_equal(encoded[name], array)


def test_columns_are_found_by_name_in_the_order_of_the_card(card):
    encoded = encode_table(frame(extra=[0, 0]), card)
    assert encoded["numeric"].tolist() == [[1.0], [2.0]]
    assert encoded["categorical"].tolist() == [[1, 2, 2], [2, 1, 1]]


@pytest.mark.parametrize("kind", ["float64", "Int64", "object", "string", "category", "float32"])
def test_a_category_reads_alike_in_every_type(card, kind):
    values = ["1", "3"] if kind == "string" else [1, 3]
    encoded = encode_table(frame(size=pd.Series(values, dtype=kind)), card)
    assert encoded["categorical"][:, 0].tolist() == [1, 2]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, "Berlin"])
def test_missing_and_unseen_categories_are_code_zero(card, missing):
    assert encode_table(frame(city=["Ulm", missing]), card)["categorical"][:, 1].tolist() == [2, 0]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_numbers_are_nan(card, missing):
    np.testing.assert_array_equal(encode_table(frame(age=[7, missing]), card)["numeric"], [[7.0], [np.nan]])


def test_arrow_tables_encode_like_frames(card):
    for name, array in encode_table(frame(), card).items():
        np.testing.assert_array_equal(encode_table(pa.Table.from_pandas(frame()), card)[name], array)


def test_a_single_row_and_no_row(card):
    assert encode_table(frame()[:1], card)["categorical"].shape == (1, 3)
    assert encode_table(frame()[:0], card)["numeric"].shape == (0, 1)


def test_missing_columns_are_named(card):
    with pytest.raises(ColumnMissing, match="'size', 'city' are missing; the rows have 'age', 'flag'"):
        encode_table(frame().drop(columns=["city", "size"]), card)


def test_text_in_a_numeric_column_is_named(card):
    with pytest.raises(ColumnUnusable, match=r"'age' .* row 2 holds 'old'"):
        encode_table(frame(age=["1", "old"]), card)


def test_mixed_types_are_refused(card):
    with pytest.raises(ColumnUnusable, match="'age' mixes types"):
        encode_table(frame(age=[1, "old"]), card)


def test_infinite_numbers_are_refused(card):
    with pytest.raises(NotFinite, match="'age', row 1"):
        encode_table(frame(age=[np.inf, 1]), card)


def test_data_that_is_no_table_has_no_columns(card):
    image = Card(name="i", source="s", modality="image", classes=[], counts={}, class_counts={}, inputs={})
    with pytest.raises(DataError, match="not a table"):
        encode_table(frame(), image)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (chunked([1, None, 3]), ["1", None, "3"]),
        (chunked([1.0, None, 3.0]), ["1", None, "3"]),
        (chunked([1.0, float("nan")]), ["1", None]),
        (chunked([1.5, 3.0]), ["1.5", "3"]),
        (chunked([True, False]), ["true", "false"]),
        (chunked(["a", None]).dictionary_encode(), ["a", None]),
    ],
)
def test_columns_as_text(column, expected):
    assert column_text(column, "c").to_pylist() == expected


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (chunked([" 1.5 ", None, "-2e3"]), [1.5, np.nan, -2000]),
        (chunked([True, None]), [1, np.nan]),
        (chunked([None, None], pa.null()), [np.nan, np.nan]),
        (pa.chunked_array([pa.array([1]), pa.array([2])]), [1, 2]),
    ],
)
def test_columns_as_numbers(column, expected):
    np.testing.assert_array_equal(column_numbers(column, "c"), np.array(expected, np.float32))
