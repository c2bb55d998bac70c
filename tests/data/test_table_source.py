"""Tables of the user's: what is read, and what is refused with which words."""

from __future__ import annotations

import datetime
import gzip
import logging
import pickle
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.data import ColumnKind, DataConfig, Modality, SplitConfig, SplitMethod, TaskKind
from heldout.config.errors import ConfigError
from heldout.data.columns import encode_table
from heldout.data.errors import (
    ColumnMissing,
    ColumnUnusable,
    DataError,
    DuplicateIds,
    FileUnreadable,
    NotFinite,
    SplitImpossible,
    TargetUnusable,
)
from heldout.data.prepare import prepare
from heldout.data.sources import load_source
from heldout.data.sources._files import read_table

COLUMNS = {"age": ColumnKind.numeric}


def rows(header: str, *cells: str) -> str:
    return "\n".join([header, *cells]) + "\n"


def many(header: str, row: str, n: int = 60) -> str:
    """n rows from a pattern in which {i} is the number of the row and {c} one of two classes."""
    return rows(header, *(row.format(i=i, c="ab"[i % 2]) for i in range(n)))


def test_columns_are_taken_by_their_type(table):
    raw = load_source(table())
    assert [(c["name"], c["kind"], c["categories"]) for c in raw.columns] == [
        ("age", "numeric", []),
        ("income", "numeric", []),
        ("city", "categorical", ["Bonn", "Köln", "Ulm"]),
    ]
    assert raw.ids[:2].tolist() == ["p0", "p1"]
    assert raw.classes == ["no", "yes"]
    assert raw.inputs["numeric"].dtype == np.float32
    assert raw.inputs["numeric"][3].tolist() == [23.0, 4.5]
    assert np.isnan(raw.inputs["numeric"][4, 0])
    assert raw.inputs["categorical"][:6, 0].tolist() == [3, 1, 2, 3, 1, 0]


def test_the_config_overrules_the_type(table):
    raw = load_source(table(columns={"age": ColumnKind.categorical, "income": ColumnKind.ignore}))
    assert [(c["name"], c["kind"]) for c in raw.columns] == [("age", "categorical"), ("city", "categorical")]
    assert "numeric" not in raw.inputs
    assert raw.columns[0]["categories"][:2] == ["20", "21"]


def test_without_an_id_column_rows_are_numbered(table):
    raw = load_source(table(id=None, columns={"id": ColumnKind.ignore}))
    assert raw.ids[[0, -1]].tolist() == ["row-1", "row-60"]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [(["10", "9"], ["9", "10"]), (["b", "a"], ["a", "b"]), (["1", "x"], ["1", "x"]), (["007", "7"], ["007", "7"])],
)
def test_classes_are_ordered_and_labels_kept_as_written(table, labels, classes):
    text = rows("x,label", *(f"{i},{labels[i % 2]}" for i in range(20)))
    assert load_source(table(text, id=None)).classes == classes


def test_csv_and_parquet_of_the_same_rows_are_the_same_data(table, tmp_path):
    one = load_source(table())
    content = {
        "id": one.ids.tolist(),
        "age": [None if i == 4 else 20 + i % 40 for i in range(60)],
        "income": [i * 1.5 for i in range(60)],
        "city": pa.array([None if i == 5 else ("Ulm", "Bonn", "Köln")[i % 3] for i in range(60)]).dictionary_encode(),
        "label": [("no", "yes")[i % 2] for i in range(60)],
        "__index_level_0__": list(range(60)),
    }
    parquet.write_table(pa.table(content), tmp_path / "rows.parquet")
    other = load_source(table(path=str(tmp_path / "rows.parquet")))
    assert other.columns == one.columns
    for name, array in one.inputs.items():
        np.testing.assert_array_equal(other.inputs[name], array)
    assert other.target.tolist() == one.target.tolist()


def test_parquet_types(table, tmp_path):
    n = 12
    content = {
        "decimal": [Decimal("1.5")] * n,
        "small": pa.array(range(n), pa.int8()),
        "flag": [i % 2 == 0 for i in range(n)],
        "sparse": [2.0, *[None] * (n - 1)],
        "text number": ["1.5"] * n,
        "label": [i % 2 * 1.0 for i in range(n)],
    }
    parquet.write_table(pa.table(content), tmp_path / "rows.parquet")
    columns = {"text number": ColumnKind.numeric}
    raw = load_source(table(path=str(tmp_path / "rows.parquet"), id=None, columns=columns))
    kinds = {c["name"]: c["kind"] for c in raw.columns}
    assert kinds == {
        "decimal": "numeric",
        "small": "numeric",
        "flag": "categorical",
        "sparse": "numeric",
        "text number": "numeric",
    }
    assert raw.classes == ["0", "1"]
    np.testing.assert_array_equal(raw.inputs["numeric"][3], [1.5, 3, np.nan, 1.5])


@pytest.mark.parametrize(
    ("name", "options", "encode"),
    [
        ("rows.tsv", {"separator": "\t"}, lambda text: text.replace(",", "\t").encode()),
        ("rows.csv", {"encoding": "latin-1"}, lambda text: text.encode("latin-1")),
        ("rows.csv", {"encoding": "utf-16"}, lambda text: text.encode("utf-16")),
        ("rows.csv.gz", {}, lambda text: gzip.compress(text.encode())),
        ("rows.csv", {}, lambda text: b"\xef\xbb\xbf" + text.encode()),
        ("rows.txt", {"separator": ";"}, lambda text: text.replace(",", ";").replace("\n", "\r\n").encode()),
    ],
    ids=["tab", "latin-1", "utf-16", "gzip", "byte order mark", "semicolon"],
)
def test_ways_to_write_a_csv(table, name, options, encode):
    plain = load_source(table())
    text = "\n".join(plain_lines()) + "\n"
    other = load_source(table(encode(text), name, **options))
    assert other.columns == plain.columns
    assert other.ids.tolist() == plain.ids.tolist()


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(table, encoding):
    config = table(b"\xef\xbb\xbf" + "\n".join(plain_lines()).encode(), encoding=encoding)
    given = ["data=table", f"data.path={config.path}", "data.target=label", "data.id=id", f"data.encoding={encoding}"]
    with hydra_session():
        to_stage(compose_stage("prepare", given))
    assert load_source(config).ids[0] == "p0"


def test_another_separator_is_said_before_anything_is_read(table):
    config = table("\n".join(plain_lines()).replace(",", ";"))
    said = r"there is no such column in .*rows\.csv. Its columns: id;age;.*label. Is data\.separator right\?"
    with hydra_session(), pytest.raises(ConfigError, match=said):
        to_stage(compose_stage("prepare", ["data=table", f"data.path={config.path}", "data.target=label"]))


def plain_lines() -> list[str]:
    lines = ["id,age,income,city,label"]
    for i in range(60):
        city = "" if i == 5 else ("Ulm", "Bonn", "Köln")[i % 3]
        lines.append(f"p{i},{'' if i == 4 else 20 + i % 40},{i * 1.5},{city},{('no', 'yes')[i % 2]}")
    return lines


WORDS = ("NA", "N/A", "null", "nan", "NaN", "NULL", "#N/A")


@pytest.mark.parametrize("word", WORDS)
def test_among_texts_a_word_for_what_is_missing_is_a_text(table, word):
    text = rows(
        "id,x,city,label", *(f"{word}{i},{i},{(word, 'Ulm', '')[i % 3]},{(word, 'b')[i % 2]}" for i in range(30))
    )
    raw = load_source(table(text.replace(f"{word}0,", f"{word},")))
    assert raw.ids[0] == word
    assert raw.classes == sorted([word, "b"])
    (city,) = [column for column in raw.columns if column["name"] == "city"]
    assert city["categories"] == sorted([word, "Ulm"])
    missing = raw.inputs["categorical"][:, 0] == 0
    assert missing.tolist() == [i % 3 == 2 for i in range(30)], "only the empty cell is missing"


@pytest.mark.parametrize("word", WORDS)
def test_among_numbers_a_word_for_what_is_missing_is_missing(table, word):
    text = many("x,when,label", "{i},2024-05-01,{c}").replace("\n7,2024-05-01", f"\n{word},{word}")
    raw = load_source(table(text, id=None, columns={"when": ColumnKind.ignore}))
    assert raw.columns[0]["kind"] == "numeric"
    assert np.flatnonzero(np.isnan(raw.inputs["numeric"][:, 0])).tolist() == [7]
    # and it is not the word that is blamed where another text is no number
    with pytest.raises(ColumnUnusable, match="'x' holds mostly numbers, but row 10 holds 'nine'"):
        load_source(table(text.replace("\n9,", "\nnine,"), id=None, columns={"when": ColumnKind.ignore}))
    with pytest.raises(ColumnUnusable, match=r"1 rows have no value, .*row 8.*dates a word such as NA is no value"):
        load_source(table(text, id=None, split=SplitConfig(method=SplitMethod.time, column="when")))


def test_a_number_to_predict_is_missing_where_a_word_says_so(table):
    config = table(many("x,y", "{i},{i}").replace("\n7,7", "\n7,NA"), id=None, target="y", task=TaskKind.regression)
    with pytest.raises(
        TargetUnusable, match=r"data.target=y: 1 rows have no value, the first is row 8.*word such as NA"
    ):
        load_source(config)


def test_a_category_that_is_such_a_word_is_known_in_a_file_of_one_row(table, tmp_path):
    text = rows("x,country,label", *(f"{i},{('NA', 'DE')[i % 2]},{'ab'[i // 2 % 2]}" for i in range(40)))
    card = prepare(table(text, id=None), tmp_path / "out")
    config = table("x,country\n,NA\n", id=None)
    found = encode_table(read_table(Path(config.path), config), card)
    assert found["categorical"].tolist() == [[2]]
    assert np.isnan(found["numeric"]).tolist() == [[True]]


def test_quoted_line_breaks_are_no_rows(table):
    text = rows("x,note,label", *(f'{i},"a\nb",{"uv"[i % 2]}' for i in range(10)))
    assert len(load_source(table(text, id=None))) == 10


@pytest.mark.parametrize("method", ["grouped", "time", "given"])
def test_the_split_column_is_no_feature(table, method):
    value = {"grouped": "g{i}", "time": "2024-01-{d:02}", "given": "{s}"}[method]
    cells = (
        f"{i},{value.format(i=i // 3, d=i % 28 + 1, s=('train', 'validation', 'test')[i // 2 % 3])},{'ab'[i % 2]}"
        for i in range(60)
    )
    split = SplitConfig(method=SplitMethod[method], column="by")
    raw = load_source(table(rows("x,by,label", *cells), id=None, split=split))
    assert [c["name"] for c in raw.columns] == ["x"]
    assert [raw.group is not None, raw.time is not None, raw.split is not None] == [
        method == "grouped",
        method == "time",
        method == "given",
    ]


def test_dates_are_ordered(table, tmp_path):
    day = datetime.date(2024, 1, 1)
    days = [day + datetime.timedelta(days=i) for i in range(40)]
    for kind in (pa.date32(), pa.date64(), pa.timestamp("us"), pa.timestamp("s", "UTC")):
        content = {"when": pa.array(days).cast(kind), "x": list(range(40)), "label": ["a", "b"] * 20}
        parquet.write_table(pa.table(content), tmp_path / "rows.parquet")
        split = SplitConfig(method=SplitMethod.time, column="when")
        raw = load_source(table(path=str(tmp_path / "rows.parquet"), id=None, split=split))
        assert (np.diff(raw.time) > 0).all()


def test_kinds_are_logged(table, caplog):
    with caplog.at_level(logging.INFO):
        load_source(table())
    assert "2 numeric and 1 categorical columns" in caplog.text


def test_the_source_hash_covers_the_bytes_of_the_file(table):
    one = load_source(table())
    two = load_source(table("\n".join(plain_lines()).replace("p0,20,", "p0,20.0,")))
    np.testing.assert_array_equal(one.inputs["numeric"], two.inputs["numeric"])
    assert one.content_hash() != two.content_hash()


@pytest.mark.parametrize(
    ("text", "options", "error", "message"),
    [
        (None, {"target": "outcome"}, ColumnMissing, r"data\.target: there is no column 'outcome'.*'label'"),
        (None, {"id": "key"}, ColumnMissing, r"data\.id: there is no column 'key'"),
        (None, {"columns": {"agee": ColumnKind.numeric}}, ColumnMissing, r"data\.columns\.agee"),
        (None, {"separator": ";"}, ColumnMissing, "Is data.separator right"),
        (
            many("age,label", "{i},{c}").replace("\n7,", "\nseven,"),
            {"id": None, "columns": COLUMNS},
            ColumnUnusable,
            r"'age' is declared numeric, but row 8 holds 'seven'",
        ),
        (
            many("age,label", "{i},{c}").replace("\n7,", "\n?,"),
            {"id": None},
            ColumnUnusable,
            r"'age' holds mostly numbers, but row 8 holds '\?'",
        ),
        (many("when,label", "2024-01-0{c},{c}").replace("-0a", "-01").replace("-0b", "-02"), {"id": None},
         ColumnUnusable, r"'when' holds date32.* must be declared"),
        (many("note,label", "note {i},{c}", 200), {"id": None}, ColumnUnusable, "200 different texts in 200 rows"),
        (many(",x,label", "{i},{i},{c}"), {"id": None}, ColumnUnusable, "a column has no name.*index=False"),
        (many("x,label", "{i},{c}").replace("\n7,", "\ninf,"), {"id": None}, NotFinite, "'x', row 8: inf"),
        (many("x,label", "{i},{c}").replace("\n7,", "\n1e300,"), {"id": None}, NotFinite, "row 8: 1e.300"),
        ("", {}, FileUnreadable, "the file is empty"),
        ("\n\n", {}, FileUnreadable, "not a well-formed csv"),
        ("id,age,label\n", {}, FileUnreadable, "a header and no rows"),
        (rows("x,x,label", "1,2,a", "1,2,b"), {"id": None}, FileUnreadable, "'x' occur twice"),
        (rows("x,label", "1,a", "1,2,b"), {"id": None}, FileUnreadable, "not a well-formed csv.*Expected 2"),
        (many("x,label", "{i},a"), {"id": None}, TargetUnusable, "all 60 examples have the class 'a'"),
        (many("x,label", "{i},{c}").replace("\n7,b", "\n7,"), {"id": None}, TargetUnusable, "1 rows have no.*row 8"),
        (many("x,label", "{i},{i}.25"), {"id": None}, TargetUnusable, "60 different numbers.*needs classes"),
        (many("x,label", "{i},name {i}"), {"id": None}, TargetUnusable, "60 different values in 60 rows"),
        (many("id,x,label", "{c},{i},{c}"), {}, DuplicateIds, r"2 ids occur more than once: 'a', 'b'"),
        (many("id,x,label", "{i},{i},{c}").replace("\n3,", "\n,"), {}, ColumnUnusable, r"data\.id=id: 1 rows"),
        (many("id,label", "{i},{c}"), {}, ColumnUnusable, "no column left"),
        (many("x,y,label", "{i},,{c}"), {"id": None}, ColumnUnusable, "'y' of .* no value in any row.*y=ignore"),
        (many("x,y,label", "{i},nan,{c}"), {"id": None}, ColumnUnusable, "'y' of .* no value in any row"),
        (
            many("x,y,label", "{i},,{c}"),
            {"id": None, "columns": {"y": ColumnKind.categorical}},
            ColumnUnusable,
            "'y' of .* no value in any row",
        ),
        ("é,label\n1,a\n2,b\n".encode("latin-1"), {"id": None}, FileUnreadable, "cannot be decoded|well-formed"),
        ("x,label\né,a\nb,b\n".encode("latin-1"), {"id": None}, FileUnreadable, "cannot be decoded as .*utf-8"),
        (None, {"encoding": "ascii"}, FileUnreadable, "cannot be decoded as data.encoding=ascii"),
        (None, {"encoding": "utf-9"}, FileUnreadable, "there is no such encoding"),
        (None, {"split": SplitConfig(method=SplitMethod.time)}, ColumnMissing, r"needs data\.split\.column"),
        (None, {"split": SplitConfig(method=SplitMethod.time, column="when")}, ColumnMissing, "'when'"),
        (None, {"split": SplitConfig(method=SplitMethod.time, column="city")}, ColumnUnusable, "1 rows have no value"),
        (None, {"split": SplitConfig(method=SplitMethod.given, column="label")}, ColumnUnusable, "'no', 'yes'"),
        (
            many("x,when,label", "{i},31/12/{i},{c}"),
            {"id": None, "split": SplitConfig(method=SplitMethod.time, column="when")},
            ColumnUnusable,
            "holds string such as '31/12/0'",
        ),
    ],
)  # fmt: skip
def test_bad_tables_are_refused_and_nothing_is_written(table, tmp_path, text, options, error, message):
    config = table(text, **options)
    with pytest.raises(error, match=message):
        prepare(config, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_class_too_small_for_the_split_is_named(table, tmp_path):
    text = many("x,label", "{i},{c}") + "99,rare\n"
    with pytest.raises(SplitImpossible, match=r"'rare \(1\)'"):
        prepare(table(text, id=None), tmp_path / "out")


def test_a_path_that_does_not_exist_is_named(table):
    with pytest.raises(FileUnreadable, match=r"data\.path=nowhere\.csv: there is no such file"):
        load_source(table(path="nowhere.csv"))


def test_a_folder_is_no_file(table, tmp_path):
    with pytest.raises(FileUnreadable, match="there is no such file"):
        load_source(table(path=str(tmp_path)))


def test_a_pickle_is_not_opened(table):
    class Explosive:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    with pytest.raises(FileUnreadable, match=r"got '\.pkl'"):
        load_source(table(pickle.dumps(Explosive()), "rows.pkl"))


@pytest.mark.parametrize("content", [b"PAR1 but not really", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_damaged_parquet_file_is_refused(table, content):
    with pytest.raises(FileUnreadable, match="not a readable parquet file"):
        load_source(table(content, "rows.parquet"))


def test_lists_in_cells_are_refused_unless_ignored(table, tmp_path):
    content = {"x": list(range(10)), "list": [[1, 2]] * 10, "label": ["a", "b"] * 5}
    parquet.write_table(pa.table(content), tmp_path / "rows.parquet")
    path = str(tmp_path / "rows.parquet")
    with pytest.raises(ColumnUnusable, match="'list' holds list"):
        load_source(table(path=path, id=None))
    raw = load_source(table(path=path, id=None, columns={"list": ColumnKind.ignore}))
    assert [column["name"] for column in raw.columns] == ["x"]


def test_the_source_needs_the_schema_of_a_table():
    with pytest.raises(DataError, match="needs path and target"):
        load_source(DataConfig(name="x", source="table", modality=Modality.table))
