"""Batches: complete, reproducible, independent of the file below."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from heldout.data.batches import Batches
from heldout.data.store import read_split


def make(n: int = 103, **parts) -> Batches:
    x = np.arange(n * 6, dtype=np.uint8).reshape(n, 1, 2, 3)
    options = {"batch_size": 10, "shuffle": True, "seed": 0} | parts
    return Batches({"x": x, "length": np.arange(n, dtype=np.int32)}, np.arange(n) % 3, **options)


def rows(batches: Batches) -> list[int]:
    return torch.cat([batch["index"] for batch in batches]).tolist()


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("n", [1, 9, 10, 100, 103])
def test_an_epoch_covers_every_row_once(n, shuffle):
    batches = make(n, shuffle=shuffle)
    assert sorted(rows(batches)) == list(range(n))
    assert len(batches) == len(list(batches)) == -(-n // 10)


@pytest.mark.parametrize(("n", "expected"), [(9, 0), (10, 1), (103, 10)])
def test_drop_last_leaves_out_what_is_not_full(n, expected):
    batches = make(n, drop_last=True)
    sizes = [len(batch["target"]) for batch in batches]
    assert sizes == [10] * expected
    assert len(batches) == expected


def test_rows_of_inputs_and_target_belong_together():
    data = make()
    for batch in data:
        assert torch.equal(batch["inputs"]["length"].long(), batch["index"])
        assert torch.equal(batch["target"], batch["index"] % 3)
        assert torch.equal(batch["inputs"]["x"], data.inputs["x"][batch["index"]])


def test_types_are_kept_and_the_target_is_int64():
    batch = next(iter(make()))
    assert batch["inputs"]["x"].dtype == torch.uint8
    assert batch["inputs"]["length"].dtype == torch.int32
    assert batch["target"].dtype == batch["index"].dtype == torch.int64
    assert batch["inputs"]["x"].shape == (10, 1, 2, 3)


def test_the_order_depends_on_seed_and_epoch_only():
    first = make(seed=3)
    first.set_epoch(5)
    expected = rows(first)
    for _ in range(4):  # a start that begins at epoch 5 sees what one that ran through epoch 4 sees
        torch.rand(7)
    resumed = make(seed=3)
    resumed.set_epoch(5)
    assert rows(resumed) == expected == rows(resumed)


def test_orders_of_seeds_and_epochs_differ():
    seen = set()
    for seed in range(4):
        for epoch in range(4):
            batches = make(seed=seed)
            batches.set_epoch(epoch)
            seen.add(tuple(rows(batches)))
    assert len(seen) == 16


def test_shuffling_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    rows(make())
    assert torch.equal(torch.get_rng_state(), state)


def test_without_shuffling_the_order_is_that_of_the_file():
    assert rows(make(shuffle=False)) == list(range(103))


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_batch_of_a_memory_map_may_be_changed(prepared_table, shuffle):
    split = read_split(prepared_table[0], "train")
    before = split.inputs["categorical"].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of read-only memory; a user cannot do anything about it
        batches = Batches(split.inputs, split.target, batch_size=64, shuffle=shuffle, seed=0)
    for batch in batches:
        batch["inputs"]["categorical"] += 1
    np.testing.assert_array_equal(split.inputs["categorical"], before)


def test_tensors_are_taken_as_they_are():
    x = torch.arange(4.0)[:, None]
    batches = Batches({"x": x}, torch.tensor([0, 1, 0, 1]), batch_size=4, shuffle=False, seed=0)
    assert torch.equal(next(iter(batches))["inputs"]["x"], x)


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="target has 3 rows"):
        Batches({"x": np.zeros((4, 1))}, np.zeros(3), batch_size=2, shuffle=False, seed=0)


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(ValueError, match="batch_size=0"):
        make(batch_size=0)
