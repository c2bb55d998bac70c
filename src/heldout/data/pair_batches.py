"""Batches of texts and their translations that are about equally long."""

from __future__ import annotations

import torch

from heldout.data.batches import Batch, Batches

# batches that are sorted by length together; more would put the same pairs into the same batch each epoch
POOL = 16


class PairBatches(Batches):
    """Batches of pairs, without the padding that all of a batch share.

    Where they are shuffled, each epoch deals the pairs into pools, sorts each by length and cuts it into batches, which
    then come in an order of their own. Where they are not, they are sorted by length altogether: what is measured is
    summed up, and `index` says which row is which.
    """

    def _order(self) -> torch.Tensor:
        lengths = self.inputs["translation_length"].long() * 10_000 + self.inputs["source_length"].long()
        if not self.shuffle:
            return lengths.argsort(stable=True)
        generator = self._generator()
        order = torch.randperm(len(self.target), generator=generator)
        pools = torch.split(order, POOL * self.batch_size)
        by_length = (pool[lengths[pool].argsort(stable=True)] for pool in pools)
        batches = [batch for pool in by_length for batch in torch.split(pool, self.batch_size)]
        # one that is not full stays the last
        full = len(order) // self.batch_size
        places = [*torch.randperm(full, generator=generator).tolist(), *range(full, len(batches))]
        return torch.cat([batches[place] for place in places])

    def _batch(self, index: torch.Tensor) -> Batch:
        batch = super()._batch(index)
        inputs = trimmed(batch["inputs"])
        return {**batch, "inputs": inputs, "target": batch["target"][:, : inputs["translation"].shape[1] - 1]}


def trimmed(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tokens up to the longest of these texts, and of their translations where there are any."""
    return {
        name: values[:, : int(inputs[f"{name}_length"].max())] if f"{name}_length" in inputs else values
        for name, values in inputs.items()
    }
