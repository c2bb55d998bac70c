"""The share of each batch that one of several workers takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch


class Share(NamedTuple):
    """Of a batch of `batch` examples, those that one worker takes: `size` from `start`; `total` of all workers."""

    start: int
    size: int
    batch: int
    total: int


@dataclass(frozen=True)
class Shard:
    """Worker `rank` of `workers`, which divide every batch of `batch_size` among them.

    Shares differ by one example at most. Where a batch, the last of an epoch, has fewer examples than there are
    workers, each takes all of it: nobody is left without, and the mean over all that is computed stays the same.
    """

    rank: int
    workers: int
    batch_size: int

    def rows(self, block: torch.Tensor) -> torch.Tensor:
        """Of the rows of one batch or several, one after the other, those of this worker."""
        batches = zip(torch.split(block, self.batch_size), self.shares(len(block)), strict=True)
        return torch.cat([batch[share.start : share.start + share.size] for batch, share in batches])

    def shares(self, examples: int) -> list[Share]:
        """What this worker takes of each batch of a block of so many examples."""
        full, rest = divmod(examples, self.batch_size)
        return [self._share(size) for size in [self.batch_size] * full + [rest] * (rest > 0)]

    def part(self, examples: int) -> slice:
        """Of examples that are measured once, not in batches, those of this worker."""
        return slice(examples * self.rank // self.workers, examples * (self.rank + 1) // self.workers)

    def _share(self, batch: int) -> Share:
        if batch < self.workers:
            return Share(0, batch, batch, batch * self.workers)
        size, rest = divmod(batch, self.workers)
        start = self.rank * size + min(self.rank, rest)
        return Share(start, size + (self.rank < rest), batch, batch)
