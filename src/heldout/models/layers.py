"""Layers that several families share; all of them leave padded steps without influence."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heldout.models.errors import NotShared
from heldout.models.synced import synced_batch_norm

_MOMENTUM = 0.1


def valid_steps(length: Tensor, size: int) -> Tensor:
    """Bool `[batch, size]`: true for the first `length` (int `[batch]`) steps of each example."""
    return torch.arange(size, device=length.device) < length.unsqueeze(1)


def shortened(length: Tensor | None, stride: int, size: int) -> Tensor | None:
    """Valid steps after a layer of that stride with `size` outputs.

    An output counts as valid when the input step it is centred on was: `ceil(length / stride)` of them.
    """
    if length is None:
        return None
    return torch.div(length + stride - 1, stride, rounding_mode="floor").clamp(max=size)


def mask_padding(x: Tensor, length: Tensor | None) -> Tensor:
    """Zero the padded steps of `[batch, channels, steps]`, so that the next kernel sees what zero padding is."""
    if length is None:
        return x
    return x.masked_fill(~valid_steps(length, x.shape[-1]).unsqueeze(1), 0.0)


def global_mean(x: Tensor, length: Tensor | None) -> Tensor:
    """Mean of `[batch, channels, *axes]` over its axes, of `[..., steps]` over the valid steps only.

    Expects padded steps to be zero. Returns `[batch, channels]`.
    """
    if length is None:
        return x.flatten(2).mean(dim=2)
    return x.sum(dim=2) / length.unsqueeze(1)


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015) of `[batch, channels]` or `[batch, channels, *axes]`.

    Unlike torch's, it takes its statistics over the valid steps alone when a series comes with lengths, and
    normalises a batch with one value a channel, which has no variance, by the running statistics. Where several
    workers share a batch, it takes its statistics over the whole batch.
    """

    weight: nn.Parameter
    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_variance", torch.ones(channels))
        self.is_shared = False

    def forward(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        """Normalise `x`; where there are lengths, `x` is `[batch, channels, steps]` and comes back zero-padded."""
        if length is None:
            return self._normalise(x)
        if not self.training:
            return mask_padding(self._normalise(x), length)
        steps = x.transpose(1, 2)
        valid = valid_steps(length, x.shape[-1])
        normalised = torch.zeros_like(steps)
        normalised[valid] = self._normalise(steps[valid])
        return normalised.transpose(1, 2)

    def _normalise(self, x: Tensor) -> Tensor:
        if self.training and self.is_shared:
            return synced_batch_norm(x, self.running_mean, self.running_variance, self.weight, self.bias, _MOMENTUM)
        use_batch = self.training and x.numel() > x.shape[1]
        return F.batch_norm(x, self.running_mean, self.running_variance, self.weight, self.bias, use_batch, _MOMENTUM)


def share_batches(network: nn.Module) -> None:
    """Makes batch normalisation take its statistics over the workers of a process group, which share each batch.

    Raises:
        NotShared: a layer of torch's own kind, whose statistics would be those of one worker.
    """
    for name, module in network.named_modules():
        if isinstance(module, BatchNorm):
            module.is_shared = True
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise NotShared(
                f"{name} is a {type(module).__name__}: on several workers it would normalise by the statistics of one. "
                "Expected heldout.models.layers.BatchNorm there, or one worker."
            )
