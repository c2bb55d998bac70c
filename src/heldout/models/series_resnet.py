"""The residual network of the time series archives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from heldout.config.model import SeriesResNetConfig
from heldout.models.inputs import GridInput, Inputs
from heldout.models.layers import BatchNorm, global_mean, mask_padding
from heldout.models.registry import register

if TYPE_CHECKING:
    from heldout.data.card import Card

_WIDTHS = (1, 2, 2)


@register(SeriesResNetConfig)
class SeriesResNet(nn.Module):
    """Residual blocks at full length, then the mean over the steps; returns logits `[batch, classes]`.

    Wang, Yan and Oates 2017 (arXiv 1611.06455), section III.C: with 64 channels it is the ResNet that Fawaz et al.
    2019 (arXiv 1809.04356) found best of nine over the UCR archive.
    """

    def __init__(self, config: SeriesResNetConfig, card: Card) -> None:
        super().__init__()
        self.input = GridInput(card)
        channels = self.input.channels
        self.blocks = nn.ModuleList()
        for factor in _WIDTHS:
            self.blocks.append(_Block(channels, factor * config.width, config.kernel_sizes))
            channels = factor * config.width
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(channels, card.outputs)

    def forward(self, inputs: Inputs) -> Tensor:
        x, length = self.input(inputs)
        for block in self.blocks:
            x = block(x, length)
        logits: Tensor = self.classifier(self.dropout(global_mean(x, length)))
        return logits


class _Block(nn.Module):
    """`relu(shortcut(x) + convolutions(x))`, a normalisation after each convolution and in the shortcut."""

    def __init__(self, channels: int, width: int, kernel_sizes: list[int]) -> None:
        super().__init__()
        sizes = [channels] + [width] * (len(kernel_sizes) - 1)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(size, width, kernel, bias=False) for size, kernel in zip(sizes, kernel_sizes, strict=True)
        )
        # so that the length stays; an even kernel reads one step more ahead
        self.padding = [((kernel - 1) // 2, kernel // 2) for kernel in kernel_sizes]
        self.norms = nn.ModuleList(BatchNorm(width) for _ in kernel_sizes)
        self.projection = nn.Conv1d(channels, width, 1, bias=False) if channels != width else nn.Identity()
        self.projection_norm = BatchNorm(width)

    def forward(self, x: Tensor, length: Tensor | None) -> Tensor:
        y = x
        for layer, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            y = norm(convolution(F.pad(y, self.padding[layer])), length)
            if layer < len(self.norms) - 1:
                y = F.relu(y)
        return mask_padding(F.relu(y + self.projection_norm(self.projection(x), length)), length)
