"""Series of the user's: the formats that are read, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from heldout.config.data import MissingSteps, SeriesData, SeriesLayout, SplitConfig, SplitMethod
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
from heldout.data.store import read_split

LONG = "unit,minute,speed,heat,state"
WIDE = SeriesLayout.wide


def series_file(path: Path, content: str, **parts) -> SeriesData:
    path.write_text(content)
    parts.setdefault("target", "state")
    return SeriesData(name="s", path=str(path), **parts)


def long_rows(n: int = 12, steps: int = 4, unequal: bool = False) -> str:
    """n series of two channels, the last step first in the file."""
    rows = [LONG]
    for unit in range(n):
        for step in reversed(range(steps + (unit % 3 if unequal else 0))):
            rows.append(f"u{unit},{step},{unit + step / 10},{-step},{'ab'[unit % 2]}")
    return "\n".join(rows) + "\n"


@pytest.fixture
def long(tmp_path: Path):
    def make(content: str | None = None, **parts) -> SeriesData:
        parts = {"id": "unit", "time": "minute"} | parts
        return series_file(tmp_path / "long.csv", long_rows() if content is None else content, **parts)

    return make


@pytest.fixture
def wide(tmp_path: Path):
    def make(*rows: str, **parts) -> SeriesData:
        content = "\n".join(["name,t0,t1,t2,state", *rows]) + "\n"
        return series_file(tmp_path / "wide.csv", content, **({"id": "name", "layout": WIDE} | parts))

    return make


def test_rows_of_a_long_file_are_steps_in_the_order_of_time(long):
    raw = load_source(long())
    assert raw.inputs["x"].shape == (12, 2, 4)
    assert raw.inputs.keys() == {"x"}
    first = raw.ids.tolist().index("u3")
    np.testing.assert_allclose(raw.inputs["x"][first], [[3, 3.1, 3.2, 3.3], [0, -1, -2, -3]], rtol=1e-6)
    assert raw.target[first] == "b"
    assert raw.classes == ["a", "b"]


def test_without_a_time_column_the_order_is_that_of_the_file(long):
    raw = load_source(long(time=None, values=["speed"]))
    assert raw.inputs["x"][raw.ids.tolist().index("u0"), 0].tolist() == pytest.approx([0.3, 0.2, 0.1, 0])


def test_series_of_unequal_length_come_with_their_lengths(long):
    raw = load_source(long(long_rows(unequal=True)))
    assert raw.inputs["x"].shape == (12, 2, 6)
    by_id = dict(zip(raw.ids.tolist(), raw.inputs["length"].tolist(), strict=True))
    assert (by_id["u0"], by_id["u1"], by_id["u2"]) == (4, 5, 6)
    row = raw.ids.tolist().index("u0")
    assert not raw.inputs["x"][row, :, 4:].any()


def test_dates_order_steps(long):
    rows = [LONG, *(f"u{i},2024-05-{31 - step},{step},0,{'ab'[i % 2]}" for i in range(4) for step in range(3))]
    assert load_source(long("\n".join(rows))).inputs["x"][0, 0].tolist() == [2, 1, 0]


def test_a_row_of_a_wide_file_is_a_series_that_ends_with_its_last_value(wide):
    raw = load_source(wide("p,1,2,3,a", "q,4,5,,b", "r,6,,,a"))
    assert raw.ids.tolist() == ["p", "q", "r"]
    assert raw.inputs["length"].tolist() == [3, 2, 1]
    assert raw.inputs["x"][:, 0].tolist() == [[1, 2, 3], [4, 5, 0], [6, 0, 0]]


TS = "#about\n@problemName x\n@timeStamps false\n@classLabel true 1 2\n@data\n"


def test_a_ts_file_brings_channels_and_classes(tmp_path):
    raw = load_source(series_file(tmp_path / "x.ts", TS + "1,2,3:4,5,6:2\n7,8:9,10:1\n"))
    assert raw.inputs["x"].tolist() == [[[1, 2, 3], [4, 5, 6]], [[7, 8, 0], [9, 10, 0]]]
    assert raw.inputs["length"].tolist() == [3, 2]
    assert raw.target.tolist() == ["2", "1"]
    assert raw.classes == ["1", "2"]


def test_a_byte_order_mark_is_no_part_of_a_ts_file(tmp_path):
    config = series_file(tmp_path / "x.ts", "")
    (tmp_path / "x.ts").write_text("@data\n1,2:a\n3,4:b\n", encoding="utf-8-sig")
    assert len(load_source(config)) == 2


def test_a_second_file_is_the_test_set(tmp_path):
    (tmp_path / "test.ts").write_text(TS + "".join(f"9,{i}:{1 + i % 2}\n" for i in range(4)))
    train = TS + "".join(f"1,{i}:{1 + i % 2}\n" for i in range(12))
    split = SplitConfig(method=SplitMethod.given, validation=0.25)
    config = series_file(tmp_path / "train.ts", train, test_path=str(tmp_path / "test.ts"), split=split)
    card = prepare(config, tmp_path / "out")
    assert card.counts == {"train": 8, "validation": 4, "test": 4}
    assert (read_split(tmp_path / "out", "train").inputs["x"][:, 0, 0] == 1).all(), "nothing of the second file"


def test_a_class_of_the_second_file_alone_is_said_to_be(tmp_path):
    (tmp_path / "test.ts").write_text(TS + "9,1:a\n9,2:b\n9,3:c\n")
    split = SplitConfig(method=SplitMethod.given)
    train = TS + "".join(f"1,{i}:{'ab'[i % 2]}\n" for i in range(12))
    config = series_file(tmp_path / "train.ts", train, test_path=str(tmp_path / "test.ts"), split=split)
    with pytest.raises(
        SplitImpossible, match="all examples of the classes 'c' are in the test set that the data bring"
    ):
        prepare(config, tmp_path / "out")


def test_series_of_one_group_stay_together(long, tmp_path):
    rows = long_rows().replace(LONG, LONG + ",plant").splitlines()
    rows = [rows[0], *(f"{row},{'nsew'[int(row.split(',')[0][1:]) // 2 % 4]}" for row in rows[1:])]
    split = SplitConfig(method=SplitMethod.grouped, column="plant", validation=0.25, test=0.25)
    prepare(long("\n".join(rows), values=["speed", "heat"], split=split), tmp_path / "out")
    plants = {s: {int(i[1:]) // 2 % 4 for i in read_split(tmp_path / "out", s).ids} for s in ("train", "validation")}
    assert not plants["train"] & plants["validation"]


def test_missing_steps_are_refused_or_interpolated(tmp_path):
    config = series_file(tmp_path / "x.ts", TS + "1,?,3,?:a\n1,1,1,2:b\n")
    with pytest.raises(NotFinite, match=r"series 'series-1' has no value at step 2, channel 1.*data.missing=interp"):
        load_source(config)
    config.missing = MissingSteps.interpolate
    assert load_source(config).inputs["x"][0, 0].tolist() == [1, 2, 3, 3]


def test_a_channel_without_any_value_cannot_be_interpolated(tmp_path):
    config = series_file(tmp_path / "x.ts", TS + "1,2:?,?:a\n1,1:1,2:b\n", missing=MissingSteps.interpolate)
    with pytest.raises(NotFinite, match="in a whole channel"):
        load_source(config)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TS + "1,2,x:a\n", r"x\.ts, line 6: could not convert.*separated by commas"),
        (TS + "1,2:1:a\n", r"line 6: its channels have 2, 1 steps; expected channels of equal length"),
        (TS + "1,2:a\n1,2:3,4:b\n", r"series 'series-2' has 2 channels.*expected the same channels"),
        (TS, "holds no series"),
        (TS.replace("@timeStamps false", "@timeStamps true"), "has time stamps"),
        (TS.replace("@classLabel true 1 2", "@classLabel false"), "has no classes"),
        ("1,2:a\n", "no line '@data'"),
    ],
)
def test_a_malformed_ts_file_is_refused(tmp_path, content, message):
    with pytest.raises(FileUnreadable, match=message):
        load_source(series_file(tmp_path / "x.ts", content))


def test_bytes_are_no_ts_file(tmp_path):
    (tmp_path / "x.ts").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileUnreadable, match="no text in UTF-8"):
        load_source(SeriesData(name="s", path=str(tmp_path / "x.ts")))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"id": None}, ColumnMissing, "layout=long needs data.id"),
        ({"id": "nobody"}, ColumnMissing, "data.id: there is no column 'nobody'"),
        ({"time": "state"}, ColumnUnusable, "data.time=state holds string"),
        ({"time": "heat", "values": ["speed"], "id": "state"}, ColumnUnusable, "has two rows at the time"),
        ({"target": "heat", "values": ["speed"]}, ColumnUnusable, "data.target=heat: series 'u0' has"),
        ({"values": ["pressure"]}, ColumnMissing, "data.values=pressure: there is no column"),
        ({"values": ["state"]}, ColumnUnusable, "channel .* holds 'a' in row 1 .*list in data.values"),
        ({"values": ["state"], "target": "unit"}, ColumnUnusable, "column 'state' .* holds 'a' in row 1"),
        ({"test_path": "other.csv"}, DataError, "expected data.split.method=given"),
        ({"split": SplitConfig(method=SplitMethod.grouped)}, ColumnMissing, "needs data.split.column"),
    ],
)
def test_a_long_file_that_does_not_fit_its_config_is_refused(long, change, error, message):
    with pytest.raises(error, match=message):
        load_source(long(**change))


def test_a_series_without_a_step_is_refused(wide):
    with pytest.raises(FileUnreadable, match="'q' has 1 channels and 0 steps"):
        load_source(wide("p,1,2,3,a", "q,,,,b"))


def test_text_among_the_steps_of_a_wide_file_is_refused_with_words_for_series(wide):
    with pytest.raises(
        ColumnUnusable, match=r"'t1' of .*wide\.csv, a step of the series, holds 'two' in row 2"
    ) as caught:
        load_source(wide("p,1,NA,3,a", "q,1,two,3,b"))
    assert "data.columns" not in str(caught.value)


def test_a_series_without_a_class_is_refused(wide):
    with pytest.raises(TargetUnusable, match=r"data.target=state: 1 rows have no value, the first is row 2"):
        load_source(wide("p,1,2,3,a", "q,1,2,3,", "r,1,2,3,b"))


def test_two_series_of_one_name_are_refused_in_a_wide_file(wide):
    with pytest.raises(DuplicateIds):
        load_source(wide("p,1,2,3,a", "p,1,2,3,b"))
