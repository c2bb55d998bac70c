"""Batches by whole-batch indexing: no work per sample in Python."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import NotRequired, TypedDict

import numpy as np
import torch

from heldout.data.shard import Shard


class Batch(TypedDict):
    """`inputs` by name [batch, ...], `target` int64 or float32 [batch], `index` int64 [batch]: rows of the split.

    whole: examples before one of several workers took its share.
    """

    inputs: dict[str, torch.Tensor]
    target: torch.Tensor
    index: torch.Tensor
    whole: NotRequired[int]


class Batches:
    """Iterates over a split once an epoch.

    The order of an epoch depends on (seed, epoch) only, so that a resumed run sees the batches it would have seen.
    Inputs keep their type: uint8 images stay uint8 until the model scales them. A batch is a copy; changing it does not
    change the data.

    Args:
        inputs: arrays or tensors [n, ...] by name; memory-mapped ones are read batch by batch.
        target: class indices, or numbers float32, [n].
        batch_size: examples in a batch; the last of an epoch may have fewer.
        shuffle: whether each epoch has an order of its own.
        seed: of the orders.
        drop_last: leave out the last batch where it is not full.
        shard: the worker whose share of each batch is given; all workers have the same orders.
    """

    def __init__(
        self,
        inputs: Mapping[str, np.ndarray | torch.Tensor],
        target: np.ndarray | torch.Tensor,
        batch_size: int,
        shuffle: bool,
        seed: int,
        drop_last: bool = False,
        shard: Shard | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}; expected 1 or more")
        self.inputs = {name: _tensor(array) for name, array in inputs.items()}
        self.target = _tensor(target)
        if not self.target.is_floating_point():
            self.target = self.target.long()
        lengths = {name: len(tensor) for name, tensor in self.inputs.items()}
        if set(lengths.values()) - {len(self.target)}:
            raise ValueError(f"target has {len(self.target)} rows, but inputs have {lengths}")
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.shard = shard
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next iteration."""
        self.epoch = epoch

    def __len__(self) -> int:
        full, rest = divmod(len(self.target), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Batch]:
        order = self._order()
        for index in torch.split(order, self.batch_size)[: len(self)]:
            if self.shard is None:
                yield self._batch(index)
            else:
                yield {**self._batch(self.shard.rows(index)), "whole": len(index)}

    def _batch(self, index: torch.Tensor) -> Batch:
        return {
            "inputs": {name: tensor.index_select(0, index) for name, tensor in self.inputs.items()},
            "target": self.target.index_select(0, index),
            "index": index,
        }

    def _order(self) -> torch.Tensor:
        if not self.shuffle:
            return torch.arange(len(self.target))
        return torch.randperm(len(self.target), generator=self._generator())

    def _generator(self) -> torch.Generator:
        """That of the epoch."""
        # not seed + epoch: the second epoch of one seed would be the first of the next
        words = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))


def _tensor(array: np.ndarray | torch.Tensor) -> torch.Tensor:
    if isinstance(array, torch.Tensor):
        return array
    with warnings.catch_warnings():
        # a memory map is read-only, and torch cannot say so of a tensor; batches are copies, nothing writes to it
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
