"""The shares of several workers make up each batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from heldout.data.batches import Batches
from heldout.data.shard import Shard


@pytest.mark.parametrize("workers", [2, 3, 7])
@pytest.mark.parametrize(("n", "batch_size"), [(103, 10), (100, 10), (96, 32), (57, 57), (33, 100)])
@pytest.mark.parametrize("batches_a_block", [1, 4])
def test_shares_make_up_every_batch(workers: int, n: int, batch_size: int, batches_a_block: int) -> None:
    def blocks(shard: Shard | None) -> list[torch.Tensor]:
        x = np.arange(n, dtype=np.float32)
        block = batch_size * batches_a_block
        return [b["index"] for b in Batches({"x": x}, np.zeros(n), block, shuffle=True, seed=3, shard=shard)]

    shards = [Shard(rank, workers, batch_size) for rank in range(workers)]
    whole = blocks(None)
    taken_of = [blocks(shard) for shard in shards]
    for number, block in enumerate(whole):
        plans = [shard.shares(len(block)) for shard in shards]
        parts = [of[number].split([share.size for share in plan]) for of, plan in zip(taken_of, plans, strict=True)]
        for place, batch in enumerate(block.split(batch_size)):
            mine = [part[place] for part in parts]
            taken = sorted(torch.cat(mine).tolist())
            assert {plan[place].total for plan in plans} == {len(taken)}
            starts = [plan[place].start for plan in plans]
            assert all(
                part.tolist() == batch[at : at + len(part)].tolist() for part, at in zip(mine, starts, strict=True)
            )
            if len(batch) < workers:
                assert taken == sorted(batch.tolist() * workers)
            else:
                assert taken == sorted(batch.tolist())
                assert max(map(len, mine)) - min(map(len, mine)) <= 1


@pytest.mark.parametrize("n", [7, 100, 101])
def test_parts_that_are_measured_make_up_the_split(n: int) -> None:
    rows = [row for rank in range(3) for row in range(n)[Shard(rank, 3, 10).part(n)]]
    assert rows == list(range(n))
