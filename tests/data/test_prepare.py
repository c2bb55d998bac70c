"""The prepare stage as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from heldout.data.card import Card
from heldout.data.errors import (
    DataError,
    DuplicateIds,
    NotFinite,
    OutputOccupied,
    TargetUnusable,
    UnknownSource,
)
from heldout.data.prepare import config_hash, prepare
from heldout.data.store import read_split
from heldout.data.test_split import open_test_split


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_twice_from_scratch_gives_the_same_bytes(tmp_path, table, image_config):
    for config in (table(), image_config("digits")):
        one, two = tmp_path / "one", tmp_path / "two"
        prepare(config, one)
        prepare(config, two)
        assert contents(one) == contents(two)
        assert set(contents(one)) == {"train.arrow", "validation.arrow", "test.arrow", "card.json"}


def test_the_card_counts_what_the_files_hold(prepared_table, tmp_path):
    folder, card = prepared_table
    splits = {name: read_split(folder, name) for name in ("train", "validation")}
    splits["test"] = open_test_split(folder, tmp_path / "ledger", "run")
    for name, split in splits.items():
        assert card.counts[name] == len(split)
        assert card.class_counts[name] == np.bincount(split.target).tolist()
    assert sum(card.counts.values()) == 60
    assert len(set().union(*(split.ids.tolist() for split in splits.values()))) == 60


def test_image_statistics_are_of_train_on_the_unit_scale(tmp_path, make_raw, register, image_config):
    prepare(image_config(register(make_raw())), tmp_path / "out")
    x = read_split(tmp_path / "out", "train").inputs["x"] / 255.0
    statistics = Card.load(tmp_path / "out").statistics["x"]
    assert statistics["mean"] == pytest.approx([x.mean()])
    assert statistics["std"] == pytest.approx([x.std()])


def test_series_statistics_leave_out_padding_and_missing_values(tmp_path, make_raw, register, image_config):
    x = np.zeros((60, 2, 5), np.float32)
    x[:, 0, :2] = [1, 3]
    x[:, 1, :2] = [7, np.nan]
    length = np.full(60, 2, np.int32)
    prepare(image_config(register(make_raw(inputs={"x": x, "length": length}))), tmp_path / "out")
    # a channel with one value has std 1, so that one may divide by it
    assert Card.load(tmp_path / "out").statistics["x"] == {"mean": [2.0, 7.0], "std": [1.0, 1.0]}


def test_table_statistics_ignore_missing_values(prepared_table):
    folder, card = prepared_table
    numeric = read_split(folder, "train").inputs["numeric"].astype(np.float64)
    statistics = card.statistics["numeric"]
    for name, function in {"mean": np.nanmean, "std": np.nanstd, "median": np.nanmedian}.items():
        np.testing.assert_allclose(statistics[name], function(numeric, axis=0), rtol=1e-12)


def test_categories_come_from_train_only(tmp_path, table):
    # each split has a city of its own: that of validation and test is unknown
    rows = ["id,city,label,part"]
    for i in range(40):
        part = ("train", "train", "validation", "test")[i // 2 % 4]
        rows.append(f"{i},{part} {'everywhere' if i % 8 < 2 else 'town'},{('no', 'yes')[i % 2]},{part}")
    config = table("\n".join(rows))
    config.split.method = type(config.split.method).given
    config.split.column = "part"
    card = prepare(config, tmp_path / "out")
    assert card.columns == [{"name": "city", "kind": "categorical", "categories": ["train everywhere", "train town"]}]
    assert set(read_split(tmp_path / "out", "train").inputs["categorical"].ravel()) == {1, 2}
    assert set(read_split(tmp_path / "out", "validation").inputs["categorical"].ravel()) == {0}


def test_an_earlier_result_is_replaced(tmp_path, make_raw, register, image_config):
    out = tmp_path / "out"
    first = prepare(image_config(register(make_raw(60))), out)
    second = prepare(image_config(register(make_raw(90))), out)
    assert Card.load(out) == second != first
    second.verify(out)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_leftovers_of_a_killed_start_do_no_harm(tmp_path, make_raw, register, image_config):
    for name in (".out.partial", ".out.previous"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.arrow").write_text("half")
    prepare(image_config(register(make_raw())), tmp_path / "out").verify(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_files_of_others_are_not_deleted(tmp_path, make_raw, register, image_config, kind):
    out = tmp_path / "out"
    mine = out / "thesis.tex" if kind == "folder" else out
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("years")
    with pytest.raises(OutputOccupied, match=mine.name):
        prepare(image_config(register(make_raw())), out)
    assert mine.read_text() == "years"


BAD = {
    "no examples": ({"n": 0}, DataError, "no examples"),
    "duplicate ids": ({"ids": np.array(["a"] * 2 + [str(i) for i in range(58)])}, DuplicateIds, "'a'"),
    "one class": ({"target": np.array(["class 0"] * 60)}, TargetUnusable, "all 60 examples have the class 'class 0'"),
    "unknown label": ({"target": np.array(["what"] + ["class 0"] * 59)}, TargetUnusable, "'what'"),
    "infinite": ({"inputs": {"x": np.full((60, 1, 3), np.inf, np.float32)}}, NotFinite, "example 'id-0'"),
    "lengths": ({"inputs": {"x": np.zeros((59, 1, 3), np.float32)}}, DataError, "lengths"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_refused_and_nothing_is_written(tmp_path, make_raw, register, image_config, case):
    parts, error, message = BAD[case]
    with pytest.raises(error, match=message):
        prepare(image_config(register(make_raw(**parts))), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_earlier_result(tmp_path, make_raw, register, image_config):
    out = tmp_path / "out"
    card = prepare(image_config(register(make_raw())), out)
    with pytest.raises(TargetUnusable):
        prepare(image_config(register(make_raw(classes=1))), out)
    card.verify(out)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failure_while_writing_leaves_nothing(tmp_path, make_raw, register, image_config, monkeypatch):
    def full_disk(self, directory):
        raise OSError("no space left on device")

    monkeypatch.setattr(Card, "save", full_disk)
    with pytest.raises(OSError, match="no space"):
        prepare(image_config(register(make_raw())), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_source_lists_the_known(tmp_path, image_config):
    with pytest.raises(UnknownSource, match=r"data\.source=cifar: expected one of .*'digits'"):
        prepare(image_config("cifar"), tmp_path / "out")


def test_the_hashes_follow_config_and_content(tmp_path, make_raw, register, image_config, split_config):
    raw = make_raw()
    name = register(raw)
    card = prepare(image_config(name), tmp_path / "a")
    reseeded = image_config(name, split=split_config("stratified", seed=1))
    other = prepare(reseeded, tmp_path / "b")
    assert card.config_hash == config_hash(image_config(name)) != other.config_hash
    assert card.source_hash == other.source_hash
    assert card.data_hash != other.data_hash
    raw.inputs["x"][0, 0, 0, 0] ^= 1
    assert prepare(image_config(name), tmp_path / "c").source_hash != card.source_hash


def test_limit_prepares_fewer_examples(tmp_path, image_config):
    card = prepare(image_config("digits", limit=200), tmp_path / "out")
    assert sum(card.counts.values()) == 200
    assert max(card.class_counts["train"]) - min(card.class_counts["train"]) <= 2


def test_preparing_imports_nothing_heavy(tmp_path):
    code = f"""
import sys
from pathlib import Path
from heldout.config.data import DataConfig, Modality, QualityConfig
from heldout.data.prepare import prepare
from heldout.data.quality import check
prepare(DataConfig(name="digits", source="digits", modality=Modality.image), Path({str(tmp_path / "out")!r}))
check(Path({str(tmp_path / "out")!r}), QualityConfig())
heavy = {{"torch", "pytorch_lightning", "mlflow", "sklearn", "pandas", "scipy", "matplotlib"}}
sys.exit(" ".join(heavy & set(sys.modules)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
