"""Arrow files: what is written is what is read, without copies; damage is noticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from heldout.data import scratch
from heldout.data.card import Card
from heldout.data.errors import CardMismatch, CorruptFile, DataError, TestSetSealed
from heldout.data.prepare import prepare
from heldout.data.store import input_specs, map_split, read_split, write_split

INPUTS = {
    "image": {"x": np.arange(3 * 2 * 4 * 5, dtype=np.uint8).reshape(3, 2, 4, 5)},
    # axes of length one, in a layout that is not C-contiguous
    "thin": {"x": np.arange(12, dtype=np.uint8).reshape(4, 1, 1, 3).transpose(3, 1, 2, 0)},
    "series": {
        "x": np.arange(24, dtype=np.float32).reshape(3, 2, 4),
        "length": np.array([4, 1, 2], dtype=np.int32),
    },
    "table": {
        "numeric": np.array([[1, np.nan], [2, 3], [np.nan, 4]], dtype=np.float32),
        "categorical": np.array([[0], [2], [1]], dtype=np.int32),
    },
}


def written(folder: Path, make_raw, inputs: dict[str, np.ndarray]) -> Card:
    rows = len(next(iter(inputs.values())))
    raw = make_raw(rows, inputs=inputs)
    write_split(folder / "train.arrow", raw)
    counts = {"train": rows, "validation": 0, "test": 0}
    card = Card(
        name="n",
        source="s",
        modality="image",
        classes=raw.classes,
        counts=counts,
        class_counts={name: [] for name in counts},
        inputs=input_specs(inputs),
    )
    card.save(folder)
    return card


@pytest.mark.parametrize("kind", INPUTS)
def test_what_is_written_is_read(tmp_path, make_raw, kind):
    written(tmp_path, make_raw, INPUTS[kind])
    split = read_split(tmp_path, "train")
    assert split.ids.tolist() == ["id-0", "id-1", "id-2"]
    assert split.target.tolist() == [0, 1, 2]
    assert split.target.dtype == np.int64
    for name, array in INPUTS[kind].items():
        assert split.inputs[name].dtype == array.dtype
        np.testing.assert_array_equal(split.inputs[name], array)


# writes 2 GB
@pytest.mark.slow
def test_a_split_may_have_more_values_than_an_int32_counts(tmp_path, make_raw):
    images = scratch.empty((2, 1, 1 << 15, 1 << 15), np.uint8)
    assert images.size > np.iinfo(np.int32).max
    images[-1, 0, -1, -1] = 7
    written(tmp_path, make_raw, {"x": images})
    last = read_split(tmp_path, "train").inputs["x"][-1, 0, -1]
    assert last[-2:].tolist() == [0, 7]


def test_inputs_are_views_of_the_file(tmp_path, make_raw):
    array = np.zeros((3, 1, 500, 500), np.uint8)
    written(tmp_path, make_raw, {"x": array})
    before = pa.total_allocated_bytes()
    x = read_split(tmp_path, "train").inputs["x"]
    assert pa.total_allocated_bytes() - before < array.nbytes / 10
    assert not x.flags.owndata
    assert not x.flags.writeable


def test_the_same_examples_give_the_same_bytes(tmp_path, make_raw):
    for name in ("one", "two"):
        write_split(tmp_path / name, make_raw(inputs=make_raw().inputs | {"length": np.arange(60, dtype=np.int32)}))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_ids_of_any_script_survive(tmp_path, make_raw):
    write_split(tmp_path / "train.arrow", make_raw(3, ids=np.array(["Köln", "東京", ""])))
    with pa.memory_map(str(tmp_path / "train.arrow")) as source:
        assert pa.ipc.open_file(source).read_all()["id"].to_pylist() == ["Köln", "東京", ""]


def test_the_test_split_is_sealed(prepared_table):
    with pytest.raises(TestSetSealed, match="sealed"):
        read_split(prepared_table[0], "test")


def test_only_two_modules_know_the_unsealed_reader():
    package = Path(prepare.__code__.co_filename).parents[1]
    users = {path.name for path in package.rglob("*.py") if "map_split" in path.read_text(encoding="utf-8")}
    assert users == {"store.py", "test_split.py"}


def test_a_split_that_is_none_is_refused(prepared_table):
    with pytest.raises(DataError, match="there is no split 'dev'"):
        read_split(prepared_table[0], "dev")


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
def test_a_damaged_file_is_named(prepared_table, damage):
    path = prepared_table[0] / "train.arrow"
    content = path.read_bytes()
    path.write_bytes({"truncated": content[: len(content) // 2], "garbage": b"x" * 500, "empty": b""}[damage])
    with pytest.raises(CorruptFile, match=r"train\.arrow is not a readable Arrow file"):
        read_split(prepared_table[0], "train")


def test_a_missing_file_is_named(prepared_table):
    (prepared_table[0] / "validation.arrow").unlink()
    with pytest.raises(CardMismatch, match=r"validation\.arrow.*absent"):
        read_split(prepared_table[0], "validation")


@pytest.mark.parametrize(
    "change",
    [
        {"counts": {"train": 1, "validation": 12, "test": 12}},
        {"inputs": {"x": {"dtype": "float32", "shape": [2]}}},
        {"inputs": {"numeric": {"dtype": "float32", "shape": [3]}, "categorical": {"dtype": "int32", "shape": [1]}}},
        {"inputs": {"numeric": {"dtype": "uint8", "shape": [2]}, "categorical": {"dtype": "int32", "shape": [1]}}},
    ],
    ids=["rows", "names", "shape", "dtype"],
)
def test_a_card_of_other_data_is_noticed(prepared_table, change):
    folder, card = prepared_table
    with pytest.raises(CardMismatch, match="card states"):
        map_split(folder, "train", replace(card, **change))
