"""Convolutional network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from heldout.config.model import CNNConfig, Head
from heldout.models.errors import UnsuitableModel
from heldout.models.inputs import GridInput, Inputs
from heldout.models.layers import global_mean, mask_padding, shortened
from heldout.models.registry import register

if TYPE_CHECKING:
    from heldout.data.card import Card


@register(CNNConfig)
class CNN(nn.Module):
    """Strided convolutions with ReLU, then a linear classifier; returns logits `[batch, classes]`.

    With the padding at its default an axis of any size stays at least 1 long. With kernel sizes 5 and 3, stride
    2, padding 1 and 25 channels it is the MNIST-1D network of Greydanus and Kobak (2020, arXiv 2011.14439).
    """

    def __init__(self, config: CNNConfig, card: Card) -> None:
        super().__init__()
        self.input = GridInput(card)
        convolution = nn.Conv1d if len(self.input.sizes) == 1 else nn.Conv2d
        if len(config.kernel_sizes) > config.depth:
            raise UnsuitableModel(
                f"model.kernel_sizes={list(config.kernel_sizes)}: expected at most model.depth={config.depth} sizes"
            )
        self.convolutions = nn.ModuleList()
        channels, sizes = self.input.channels, self.input.sizes
        for layer in range(config.depth):
            kernel = config.kernel_sizes[min(layer, len(config.kernel_sizes) - 1)]
            padding = kernel // 2 if config.padding is None else config.padding
            sizes = [_output_size(size, kernel, config.stride, padding) for size in sizes]
            self.convolutions.append(convolution(channels, config.width, kernel, config.stride, padding))
            channels = config.width
        self.stride = config.stride
        self.pool = config.head is Head.pool
        self.dropout = nn.Dropout(config.dropout)
        features = channels if self.pool else channels * math.prod(sizes)
        self.classifier = nn.Linear(features, card.outputs)

    def forward(self, inputs: Inputs) -> Tensor:
        x, length = self.input(inputs)
        for convolution in self.convolutions:
            x = F.relu(convolution(x))
            length = shortened(length, self.stride, x.shape[-1])
            x = mask_padding(x, length)
        x = global_mean(x, length) if self.pool else x.flatten(1)
        logits: Tensor = self.classifier(self.dropout(x))
        return logits


def _output_size(size: int, kernel: int, stride: int, padding: int) -> int:
    if size + 2 * padding < kernel:
        raise UnsuitableModel(
            f"model.padding={padding}: a convolution of kernel size {kernel} does not fit on an axis that is "
            f"{size} long by then; expected null, or at least {math.ceil((kernel - size) / 2)}"
        )
    return (size + 2 * padding - kernel) // stride + 1
