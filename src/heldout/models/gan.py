"""Generative adversarial networks of images."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from heldout.config.model import GANConfig
from heldout.models.inputs import GridInput, Inputs
from heldout.models.registry import register

if TYPE_CHECKING:
    from heldout.data.card import Card

WHITE = 255.0
_SLOPE = 0.2
_AVERAGE = "average_"


@register(GANConfig)
class GAN(nn.Module):
    """A generator, the moving average of its weights, which draws, and a critic that tells its images from real ones.

    Goodfellow et al. 2014 (arXiv 1406.2661). Convolutional as Radford et al. 2016 (arXiv 1511.06434), with residual
    blocks and without any normalisation, as Huang et al. 2024 (arXiv 2501.05441, section 3). Called with a batch of
    images, the network gives the critic's scores `[batch, 1]`, of which only differences mean something.
    """

    def __init__(self, config: GANConfig, card: Card) -> None:
        super().__init__()
        self.latent = config.latent
        self.gradient_penalty = config.gradient_penalty
        self.average_decay = config.average_decay
        self.generator = Generator(config, card.input_shape)
        self.critic = Critic(config, card)
        self.apply(_initialise)
        for name, parameter in self.generator.named_parameters():
            self.register_buffer(_average_of(name), parameter.detach().clone())

    def forward(self, inputs: Inputs) -> Tensor:
        scores: Tensor = self.critic(inputs["x"])
        return scores

    def draw(self, codes: Tensor) -> Tensor:
        """Images `[batch, channels, height, width]` on the scale 0..255 for standard normal codes `[batch, latent]`."""
        images: Tensor = functional_call(self.generator, self._averages(), codes)
        return images

    @torch.no_grad()
    def average(self, decay: float) -> None:
        """Moves the averages towards the weights of the generator, by a share of 1 - `decay` of the way."""
        averages = self._averages()
        for name, parameter in self.generator.named_parameters():
            averages[name].lerp_(parameter, 1 - decay)

    def _averages(self) -> dict[str, Tensor]:
        return {name: self.get_buffer(_average_of(name)) for name, _ in self.generator.named_parameters()}


class Generator(nn.Module):
    """From codes `[batch, latent]` to images on the scale 0..255, through ever larger maps of ever fewer channels."""

    def __init__(self, config: GANConfig, shape: tuple[int, ...]) -> None:
        super().__init__()
        channels, *axes = shape
        self.sizes, widths = _pyramid(axes, config)
        self.widths = widths
        self.stem = nn.Linear(config.latent, widths[0] * self.sizes[0][0] * self.sizes[0][1])
        self.blocks = nn.ModuleList(Block(width) for width in widths)
        self.narrower = nn.ModuleList(nn.Conv2d(width, narrower, 1) for width, narrower in pairwise(widths))
        self.image = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def forward(self, codes: Tensor) -> Tensor:
        x = self.stem(codes).view(len(codes), self.widths[0], *self.sizes[0])
        for number, block in enumerate(self.blocks):
            if number > 0:
                x = F.interpolate(self.narrower[number - 1](x), self.sizes[number], mode="nearest")
            x = block(x)
        return torch.sigmoid(self.image(F.leaky_relu(x, _SLOPE))) * WHITE


class Critic(nn.Module):
    """From images on the scale 0..255 to scores `[batch, 1]`, through ever smaller maps of ever more channels."""

    def __init__(self, config: GANConfig, card: Card) -> None:
        super().__init__()
        self.input = GridInput(card)
        sizes, widths = _pyramid(self.input.sizes, config)
        self.sizes, widths = sizes[::-1], widths[::-1]
        self.stem = nn.Conv2d(self.input.channels, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(Block(width) for width in widths)
        self.wider = nn.ModuleList(nn.Conv2d(width, wider, 1) for width, wider in pairwise(widths))
        self.dropout = nn.Dropout(config.dropout)
        # no bias: what all scores have in common means nothing
        self.score = nn.Linear(widths[-1] * self.sizes[-1][0] * self.sizes[-1][1], 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.scores(self.standardised(images))

    def standardised(self, images: Tensor) -> Tensor:
        x: Tensor = self.input({"x": images})[0]
        return x

    def scores(self, standardised: Tensor) -> Tensor:
        x = self.stem(standardised)
        for number, block in enumerate(self.blocks):
            if number > 0:
                x = self.wider[number - 1](F.adaptive_avg_pool2d(x, self.sizes[number]))
            x = block(x)
        scores: Tensor = self.score(self.dropout(F.leaky_relu(x, _SLOPE).flatten(1)))
        return scores


class Block(nn.Module):
    """Two convolutions around which the input is carried; nothing is normalised."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(F.leaky_relu(x, _SLOPE))
        return x + self.second(F.leaky_relu(y, _SLOPE))  # type: ignore[no-any-return]


def _pyramid(axes: list[int], config: GANConfig) -> tuple[list[tuple[int, int]], list[int]]:
    """Sizes and channels of the maps, smallest map first: each has half the axes and twice the channels of the next."""
    height, width = axes
    sizes, channels = [(height, width)], [max(1, config.width // 2**config.depth)]
    for stage in reversed(range(config.depth)):
        height, width = (height + 1) // 2, (width + 1) // 2
        sizes.insert(0, (height, width))
        channels.insert(0, max(1, config.width // 2**stage))
    return sizes, channels


def _initialise(module: nn.Module) -> None:
    """By He et al. 2015 (arXiv 1502.01852, section 2.2): nothing else keeps the size of what passes through."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, _SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _average_of(name: str) -> str:
    return _AVERAGE + name.replace(".", "_")
