"""layers.json and inside.parquet of a record."""

from __future__ import annotations

from pathlib import Path

import pytest

from heldout.inside import INSIDE_FILE, LAYERS_FILE, Cost, Layer, read_inside, write_inside
from heldout.record import RecordError

LAYERS = [Layer("stem", "Conv1d", [8, 20], 200, 200, 8000), Layer("head", "Linear", None, 90, 0, 160)]
COST = Cost(290, 200, 8160, "cpu", 2**30, 2**29, 1234.5, 9876.0)
ROW = {"activation": 0.5, "gradient": None, "weight": 2.0, "update": 0.01, "dead": 0.25}
ROWS = [{"epoch": epoch, "layer": layer, **ROW} for epoch in (1, 4) for layer in ("stem", "head")]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_inside(tmp_path, LAYERS, COST, ROWS)
    inside = read_inside(tmp_path)
    assert inside is not None
    assert (inside.layers, inside.cost) == (LAYERS, COST)
    assert inside.looks.epoch == [1, 4]
    assert inside.looks.values["update"] == {"stem": [0.01, 0.01], "head": [0.01, 0.01]}
    assert inside.looks.values["gradient"]["stem"] == [None, None]
    assert inside.looks.has("dead")
    assert not inside.looks.has("gradient")


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_inside(tmp_path / name, LAYERS, COST, ROWS)
    for file in (LAYERS_FILE, INSIDE_FILE):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_record_without_them_has_nothing_inside(tmp_path: Path) -> None:
    assert read_inside(tmp_path) is None


@pytest.mark.parametrize("content", ["{", "[]", '{"layers": [{"name": "stem"}]}'])
def test_a_damaged_summary_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / LAYERS_FILE).write_text(content)
    with pytest.raises(RecordError, match=LAYERS_FILE):
        read_inside(tmp_path)
