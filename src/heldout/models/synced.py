"""Batch normalisation over the batches of several workers, which together hold one batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

# torch's default
EPSILON = 1e-5


def synced_batch_norm(
    x: Tensor, running_mean: Tensor, running_variance: Tensor, weight: Tensor, bias: Tensor, momentum: float
) -> Tensor:
    """As `torch.nn.functional.batch_norm` in training, with the statistics of `x` of all workers taken together.

    torch's own SyncBatchNorm computes the same, on GPUs only. With one value a channel in all, which has no variance,
    it normalises by the running statistics.
    """
    others = [0, *range(2, x.dim())]
    shape = [1, -1, *[1] * (x.dim() - 2)]
    # half precision would not do for sums
    full = x.to(weight.dtype)
    count = full.new_tensor([x.numel() // x.shape[1]])
    sums = _Sum.apply(torch.cat([full.sum(others), count]))
    values = float(sums[-1].detach())
    if values <= 1:
        return F.batch_norm(x, running_mean, running_variance, weight, bias)
    mean = sums[:-1] / values
    centred = full - mean.view(shape)
    variance = _Sum.apply(centred.square().sum(others)) / values
    with torch.no_grad():
        running_mean.lerp_(mean, momentum)
        running_variance.lerp_(variance * (values / (values - 1)), momentum)
    scale = weight * torch.rsqrt(variance + EPSILON)
    normalised: Tensor = centred * scale.view(shape) + bias.view(shape)
    return normalised.to(x.dtype)


class _Sum(torch.autograd.Function):
    """Sum of a tensor over all workers; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Tensor:
        return _Sum.forward(ctx, gradients[0].contiguous())
