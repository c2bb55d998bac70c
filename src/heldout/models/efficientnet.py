"""EfficientNet-lite0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heldout.config.model import EfficientNetConfig
from heldout.models.inputs import GridInput, Inputs
from heldout.models.layers import BatchNorm
from heldout.models.registry import register

if TYPE_CHECKING:
    from heldout.data.card import Card

# repeats, kernel, stride, expansion and channels of each stage: EfficientNet-B0 (Tan and Le 2019, table 1)
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280
# pixels as the published weights expect them: (x - 127) / 128
PIXEL_MEAN, PIXEL_SCALE = 127.0, 128.0


@register(EfficientNetConfig)
class EfficientNet(nn.Module):
    """Inverted residual blocks of depthwise convolutions with ReLU6; returns logits `[batch, classes]`.

    Tan and Le 2019 (arXiv 1905.11946), in the lite variant, which leaves out squeeze-and-excitation. Images are made
    coloured, scaled to `image_size` and shifted by fixed numbers, not by those of the card: what the published weights
    of ImageNet expect.
    """

    def __init__(self, config: EfficientNetConfig, card: Card) -> None:
        super().__init__()
        self.input = FixedPixels(card)
        self.size = config.image_size
        self.stem = nn.Conv2d(3, STEM, 3, 2, bias=False)
        self.stem_norm = BatchNorm(STEM)
        self.blocks = nn.ModuleList()
        channels = STEM
        for repeats, kernel, stride, expansion, width in STAGES:
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                self.blocks.append(InvertedResidual(channels, width, kernel, step, expansion))
                channels = width
        self.head = nn.Conv2d(channels, HEAD, 1, bias=False)
        self.head_norm = BatchNorm(HEAD)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(HEAD, card.outputs)
        # the order oneDNN computes in
        self.to(memory_format=torch.channels_last)

    def forward(self, inputs: Inputs) -> Tensor:
        x, _ = self.input(inputs)
        x = x.expand(-1, 3, -1, -1)
        x = F.interpolate(x, size=(self.size, self.size), mode="bilinear", antialias=True)
        x = x.contiguous(memory_format=torch.channels_last)
        x = F.relu6(self.stem_norm(same(x, self.stem)))
        for block in self.blocks:
            x = block(x)
        x = F.relu6(self.head_norm(self.head(x)))
        logits: Tensor = self.classifier(self.dropout(x.mean(dim=(2, 3))))
        return logits


class FixedPixels(GridInput):
    """Pixels by fixed mean and scale; the axes and channels are the card's."""

    def __init__(self, card: Card) -> None:
        super().__init__(card)
        self.shift.fill_(-PIXEL_MEAN / PIXEL_SCALE)
        self.scale.fill_(1 / PIXEL_SCALE)


class InvertedResidual(nn.Module):
    """Widen, convolve each channel by itself, narrow; the input is added where its shape is that of the output.

    Sandler et al. 2018 (arXiv 1801.04381), section 3.3.
    """

    def __init__(self, channels: int, width: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand: nn.Conv2d | None = None
        if expansion != 1:
            self.expand = nn.Conv2d(channels, wide, 1, bias=False)
            self.expand_norm = BatchNorm(wide)
        self.depthwise = nn.Conv2d(wide, wide, kernel, stride, groups=wide, bias=False)
        self.depthwise_norm = BatchNorm(wide)
        self.project = nn.Conv2d(wide, width, 1, bias=False)
        self.project_norm = BatchNorm(width)
        self.adds_input = stride == 1 and channels == width

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand_norm(self.expand(x)))
        y = F.relu6(self.depthwise_norm(same(y, self.depthwise)))
        y = self.project_norm(self.project(y))
        narrowed: Tensor = x + y if self.adds_input else y
        return narrowed


def same(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    """The convolution with as much padding as gives `ceil(size / stride)` outputs, the odd zero at the end.

    TensorFlow's rule, by which the published weights were trained.
    """
    padding: list[int] = []
    for axis in (1, 0):
        size, kernel, stride = x.shape[2 + axis], convolution.kernel_size[axis], convolution.stride[axis]
        missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        padding += [missing // 2, missing - missing // 2]
    result: Tensor = convolution(F.pad(x, padding))
    return result
