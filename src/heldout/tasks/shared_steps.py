"""A network whose gradients are the mean over several workers."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from heldout.data.shard import Shard
from heldout.models.layers import share_batches


@dataclass
class SharedSteps:
    """How the steps of one worker add up to those on whole batches.

    torch takes the mean of the workers' gradients, whatever share of a batch each had. So each worker's loss is the sum
    over its examples, divided by the examples of all and multiplied by the number of workers: the mean gradient is that
    of the whole batch, uneven shares included. Batch statistics are those of the whole batch; dropout is drawn by each
    worker for itself, so that with dropout a run agrees with one of another number of workers only on average.
    """

    shard: Shard
    _replica: list[DistributedDataParallel] = field(default_factory=list)

    def wrap(self, network: nn.Module) -> None:
        """To be called by all workers, once the network is on its device."""
        share_batches(network)
        self._replica[:] = [DistributedDataParallel(network)]

    def unwrap(self) -> None:
        self._replica.clear()

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        logits: Tensor = self._replica[0](inputs)
        return logits

    def total(self, losses: Tensor) -> Tensor:
        """The losses of whole batches from the workers' parts."""
        total = losses.clone()
        dist.all_reduce(total)
        return total
