"""Residual networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heldout.config.model import ResNetConfig
from heldout.models.errors import UnsuitableModel
from heldout.models.inputs import GridInput, Inputs, TableInput
from heldout.models.layers import BatchNorm, global_mean, shortened
from heldout.models.registry import register

if TYPE_CHECKING:
    from heldout.data.card import Card

_STAGES = 3


@register(ResNetConfig)
def resnet(config: ResNetConfig, card: Card) -> nn.Module:
    """Convolutional on images and series, dense on tables."""
    return DenseResNet(config, card) if card.modality == "table" else ConvolutionalResNet(config, card)


class ConvolutionalResNet(nn.Module):
    """Basic blocks in three stages; each stage halves the axes and doubles the channels of the one before.

    He et al. 2016 (arXiv 1512.03385), section 4.2, over one axis or two. Returns logits `[batch, classes]`.
    With fewer than three blocks there are as many stages as blocks.
    """

    def __init__(self, config: ResNetConfig, card: Card) -> None:
        super().__init__()
        self.input = GridInput(card)
        convolution = nn.Conv1d if len(self.input.sizes) == 1 else nn.Conv2d
        channels, kernel = config.width, config.kernel_size
        if kernel % 2 == 0:
            raise UnsuitableModel(f"model.kernel_size={kernel}: expected an odd number, so that blocks keep the length")
        self.stem = convolution(self.input.channels, channels, kernel, padding=kernel // 2, bias=False)
        self.stem_norm = BatchNorm(channels)
        self.blocks = nn.ModuleList()
        stages = min(_STAGES, config.depth)
        for block in range(config.depth):
            stage = block * stages // config.depth
            width = config.width * 2**stage
            stride = 1 if width == channels else 2
            self.blocks.append(BasicBlock(convolution, channels, width, kernel, stride, config.skip))
            channels = width
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(channels, card.outputs)
        if convolution is nn.Conv2d:
            # the order oneDNN computes in; in the usual one every convolution would convert its input
            self.to(memory_format=torch.channels_last)

    def forward(self, inputs: Inputs) -> Tensor:
        x, length = self.input(inputs)
        x = F.relu(self.stem_norm(self.stem(x), length))
        for block in self.blocks:
            x, length = block(x, length)
        logits: Tensor = self.classifier(self.dropout(global_mean(x, length)))
        return logits


class BasicBlock(nn.Module):
    """Two convolutions around which the input is carried: `relu(shortcut(x) + norm(conv(relu(norm(conv(x))))))`.

    Where the shape changes, the shortcut is a convolution of kernel size 1 (option B of He et al. 2016). Without
    `skip` there is no shortcut and the layers are those of the plain network.
    """

    def __init__(
        self,
        convolution: type[nn.Conv1d] | type[nn.Conv2d],
        channels: int,
        width: int,
        kernel: int,
        stride: int,
        skip: bool,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.skip = skip
        self.first = convolution(channels, width, kernel, stride, kernel // 2, bias=False)
        self.first_norm = BatchNorm(width)
        self.second = convolution(width, width, kernel, padding=kernel // 2, bias=False)
        self.second_norm = BatchNorm(width)
        self.projection: nn.Module | None = None
        if skip and (stride != 1 or channels != width):
            self.projection = convolution(channels, width, 1, stride, bias=False)
            self.projection_norm = BatchNorm(width)

    def forward(self, x: Tensor, length: Tensor | None) -> tuple[Tensor, Tensor | None]:
        y = self.first(x)
        length = shortened(length, self.stride, y.shape[-1])
        y = F.relu(self.first_norm(y, length))
        y = self.second_norm(self.second(y), length)
        if self.skip:
            y = y + (x if self.projection is None else self.projection_norm(self.projection(x), length))
        return F.relu(y), length


class DenseResNet(nn.Module):
    """Dense residual blocks `x + dropout(linear(relu(linear(norm(x)))))` over a table's row.

    Gorishniy et al. 2021 (arXiv 2106.11959), section 3.2. Every layer has the units that the last stage of the
    convolutional one has channels. Returns logits `[batch, classes]`.
    """

    def __init__(self, config: ResNetConfig, card: Card) -> None:
        super().__init__()
        self.input = TableInput(card, config.embedding)
        width = config.width * 2 ** (_STAGES - 1)
        self.stem = nn.Linear(self.input.features, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                BatchNorm(width),
                nn.Linear(width, width),
                nn.ReLU(),
                nn.Linear(width, width),
                nn.Dropout(config.dropout),
            )
            for _ in range(config.depth)
        )
        self.skip = config.skip
        self.norm = BatchNorm(width)
        self.classifier = nn.Linear(width, card.outputs)

    def forward(self, inputs: Inputs) -> Tensor:
        x = self.stem(self.input(inputs))
        for block in self.blocks:
            x = x + block(x) if self.skip else block(x)
        logits: Tensor = self.classifier(F.relu(self.norm(x)))
        return logits
