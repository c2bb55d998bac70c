"""Splits: shares, seeds, what stays together, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from heldout.config.data import SplitConfig
from heldout.data.card import SPLITS
from heldout.data.errors import SplitImpossible
from heldout.data.raw import RawData
from heldout.data.splits import limit_rows, share_of_train, split_rows

METHODS = ("random", "stratified", "grouped", "time", "given")


@pytest.fixture
def raw(make_raw) -> RawData:
    n = 300
    return make_raw(
        n,
        group=np.array([f"group {i // 6}" for i in range(n)]),
        time=np.arange(n)[::-1] // 2,
        split=np.array(["test" if i % 5 == 0 else "train" for i in range(n)]),
    )


def members(raw: RawData, config: SplitConfig) -> dict[str, set[str]]:
    return {name: set(raw.ids[rows].tolist()) for name, rows in split_rows(raw, config).items()}


@pytest.mark.parametrize("method", METHODS)
def test_every_example_is_in_exactly_one_split(raw, split_config, method):
    rows = split_rows(raw, split_config(method))
    assert sorted(np.concatenate([rows[name] for name in SPLITS])) == list(range(len(raw)))


@pytest.mark.parametrize("method", METHODS)
def test_shares_are_those_asked_for(raw, split_config, method):
    rows = split_rows(raw, split_config(method, validation=0.25, test=0.2))
    rest = len(raw) - len(rows["test"])
    assert len(rows["test"]) == pytest.approx(0.2 * len(raw), abs=6)
    assert len(rows["validation"]) == pytest.approx(0.25 * (rest if method == "given" else len(raw)), abs=6)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_rows_does_not_matter(raw, split_config, method):
    shuffled = raw.take(np.random.default_rng(1).permutation(len(raw)))
    config = split_config(method)
    assert members(shuffled, config) == members(raw, config)
    # nor does the order within a split, so that the files are the same
    for name, rows in split_rows(raw, config).items():
        assert shuffled.ids[split_rows(shuffled, config)[name]].tolist() == raw.ids[rows].tolist()


@pytest.mark.parametrize("method", ["random", "stratified", "grouped", "given"])
def test_the_seed_decides(raw, split_config, method):
    first, again, other = (members(raw, split_config(method, seed=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first["validation"] != other["validation"]


def test_stratified_keeps_the_shares_of_rare_classes(make_raw, split_config):
    target = np.array(["common"] * 190 + ["rare"] * 10)
    raw = make_raw(200, target=target, classes=["common", "rare"])
    rows = split_rows(raw, split_config("stratified", validation=0.2, test=0.3))
    assert {name: int((target[r] == "rare").sum()) for name, r in rows.items()} == {
        "train": 5,
        "validation": 2,
        "test": 3,
    }


def test_three_examples_of_a_class_are_enough_for_stratified(make_raw, split_config):
    raw = make_raw(103, target=np.array(["a"] * 100 + ["b"] * 3), classes=["a", "b"])
    rows = split_rows(raw, split_config("stratified"))
    assert all((raw.target[r] == "b").sum() == 1 for r in rows.values())


def test_no_group_is_on_two_sides(raw, split_config):
    sides = [set(raw.group[rows].tolist()) for rows in split_rows(raw, split_config("grouped")).values()]
    assert sum(len(side) for side in sides) == len(set().union(*sides)) == 50


def test_groups_of_very_different_sizes_still_fill_every_split(make_raw, split_config):
    sizes = [100, 40, 20, 20, 10, 10, 5, 5, 5, 5]
    group = np.repeat(np.arange(len(sizes)), sizes)
    raw = make_raw(len(group), classes=2, group=group)
    for seed in range(10):
        rows = split_rows(raw, split_config("grouped", seed=seed))
        assert len(rows["train"]) >= 100
        assert min(len(r) for r in rows.values()) >= 30


def test_groups_are_dealt_so_that_every_split_has_every_class(make_raw, split_config):
    # 40 groups, of which four hold the rare class; most deals of them leave a split without it
    group = np.repeat(np.arange(40), 5)
    target = np.where(np.isin(group, [3, 9, 20, 33]), "rare", "common")
    raw = make_raw(200, classes=["common", "rare"], target=target, group=group)
    for seed in range(10):
        rows = split_rows(raw, split_config("grouped", seed=seed))
        assert all("rare" in raw.target[r] for r in rows.values())


def test_time_puts_the_newest_into_test_and_ties_on_one_side(raw, split_config):
    rows = split_rows(raw, split_config("time"))
    train, validation, test = (raw.time[rows[name]] for name in SPLITS)
    assert train.max() < validation.min()
    assert validation.max() < test.min()


def test_a_walk_forward_splits_the_oldest_as_if_there_were_no_later_ones(raw, split_config):
    early = raw.take(np.flatnonzero(raw.time < np.median(raw.time)))
    rows, alone = split_rows(raw, split_config("time", until=0.5)), split_rows(early, split_config("time"))
    for name in SPLITS:
        assert sorted(raw.ids[rows[name]]) == sorted(early.ids[alone[name]])


def test_a_walk_forward_over_nothing_is_refused(make_raw, split_config):
    with pytest.raises(SplitImpossible, match=r"split.until=0.5 leaves no example"):
        split_rows(make_raw(time=np.zeros(60)), split_config("time", until=0.5))


def test_given_keeps_the_test_set_of_the_source(raw, split_config):
    for seed in (0, 1):
        rows = split_rows(raw, split_config("given", seed=seed))
        assert set(rows["test"]) == set(np.flatnonzero(raw.split == "test"))


def test_given_takes_a_validation_set_that_is_there(make_raw, split_config):
    names = np.array(["train", "train", "validation", "test"] * 15)
    raw = make_raw(60, split=names)
    assert all((names[rows] == name).all() for name, rows in split_rows(raw, split_config("given")).items())


def test_adding_examples_moves_few_of_the_others(make_raw, split_config):
    config = split_config("random")
    small, large = members(make_raw(1000), config), members(make_raw(1010), config)
    assert len(small["train"] - large["train"]) <= 20


@pytest.mark.parametrize("method", ["grouped", "time", "given"])
def test_a_method_without_what_it_needs_is_refused(make_raw, split_config, method):
    with pytest.raises(SplitImpossible, match=r"split\.column"):
        split_rows(make_raw(), split_config(method))


def test_a_class_too_small_to_stratify_is_named_with_its_size(make_raw, split_config):
    raw = make_raw(62, target=np.array(["a"] * 60 + ["b"] * 2), classes=["a", "b"])
    with pytest.raises(SplitImpossible, match=r"'b \(2\)'.*at least 3"):
        split_rows(raw, split_config("stratified"))


def test_a_class_that_a_split_lacks_is_named_with_the_split(make_raw, split_config):
    target = np.array(["old"] * 70 + ["new"] * 30)
    raw = make_raw(100, target=target, classes=["old", "new"], time=np.arange(100))
    with pytest.raises(SplitImpossible, match="no example of 'new' in the train split"):
        split_rows(raw, split_config("time"))


@pytest.mark.parametrize("classes", [["a", "b", "c"], ["c", "a", "b"]])
def test_a_class_that_is_in_the_given_test_set_alone_is_said_to_be(make_raw, split_config, classes):
    target = np.array([*"ab" * 30, *"abc" * 4])
    raw = make_raw(72, target=target, classes=classes, split=np.array(["train"] * 60 + ["test"] * 12))
    with pytest.raises(SplitImpossible, match=r"all examples of the classes 'c' are in the test set.*Add .* to train"):
        split_rows(raw, split_config("given"))


@pytest.mark.parametrize("lacking", ["train", "validation", "test"])
def test_of_given_splits_no_share_or_seed_is_blamed(make_raw, split_config, lacking):
    names = np.array(["train", "validation", "test"] * 20)
    target = np.where((np.arange(60) < 30) & (names != lacking), "ugly", "fine")
    raw = make_raw(60, target=target, classes=["fine", "ugly"], split=names)
    with pytest.raises(SplitImpossible) as caught:
        split_rows(raw, split_config("given"))
    assert f"split.method=given leaves no example of 'ugly' in the {lacking} split" in str(caught.value)
    assert "The data say which split an example is in: add such examples to this one" in str(caught.value)
    assert "share" not in str(caught.value)
    assert "seed" not in str(caught.value)


def test_one_moment_for_all_leaves_a_split_empty(make_raw, split_config):
    with pytest.raises(SplitImpossible, match="train split empty"):
        split_rows(make_raw(time=np.zeros(60)), split_config("time"))


def test_two_groups_cannot_make_three_splits(make_raw, split_config):
    with pytest.raises(SplitImpossible, match="2 groups; expected at least 3"):
        split_rows(make_raw(group=np.arange(60) % 2), split_config("grouped"))


@pytest.mark.parametrize(("validation", "test"), [(0.0, 0.2), (0.2, 1.0), (0.6, 0.4), (-0.1, 0.2)])
def test_shares_that_leave_nothing_are_refused(make_raw, split_config, validation, test):
    with pytest.raises(SplitImpossible, match=r"split\.validation|split\.test"):
        split_rows(make_raw(), split_config("random", validation=validation, test=test))


def test_limit_draws_evenly_from_classes_and_given_splits(raw):
    rows = limit_rows(raw, 60, seed=0)
    assert len(rows) == len(set(rows)) == 60
    assert (raw.split[rows] == "test").sum() == 12
    assert set(np.bincount(raw.take(rows).class_indices())) == {20}
    assert set(rows) != set(limit_rows(raw, 60, seed=1))


def test_a_limit_leaves_rare_classes_enough_to_be_split(make_raw):
    rare = make_raw(1000, ["common"] * 330 + ["rare"] + ["seldom"] * 2)
    rows = limit_rows(replace(rare, classes=["common", "rare", "seldom"]), 100, seed=0)
    assert len(rows) == 100
    labels, counts = np.unique(rare.target[rows], return_counts=True)
    assert dict(zip(labels, counts, strict=True)) == {"common": 94, "rare": 3, "seldom": 3}


def test_a_limit_above_the_size_keeps_all(raw):
    assert limit_rows(raw, 1000, seed=0).tolist() == list(range(300))


@pytest.mark.parametrize("method", METHODS)
def test_a_share_of_train_is_part_of_every_larger_one_and_has_all_classes_alike(raw, split_config, method):
    train = split_rows(raw, split_config(method))["train"]
    larger = train.tolist()
    for share in (0.5, 0.2, 0.05, 0.001):
        rows = share_of_train(raw, train, share)
        assert set(rows.tolist()) < set(larger)
        counts = np.bincount(raw.class_indices()[rows])
        wanted = share * np.bincount(raw.class_indices()[train])
        assert (np.abs(counts - np.maximum(wanted, 1)) <= 0.5).all()
        larger = rows.tolist()


def test_the_whole_of_train_is_left_as_it_is(raw, split_config):
    train = split_rows(raw, split_config("stratified"))["train"]
    assert share_of_train(raw, train, 1.0) is train
