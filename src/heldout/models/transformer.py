"""Transformer encoder."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heldout.config.model import TransformerConfig
from heldout.models.inputs import CategoricalInput, GridInput, Inputs, NumericInput, TokenInput
from heldout.models.layers import shortened, valid_steps
from heldout.models.registry import register

if TYPE_CHECKING:
    from heldout.data.card import Card

# deviation of the initial positions and class token, as in Dosovitskiy et al. 2021
_INITIAL_DEVIATION = 0.02


@register(TransformerConfig)
class Transformer(nn.Module):
    """Encoder blocks over tokens; a class token gathers what the classifier reads. Logits `[batch, classes]`.

    Blocks normalise first (Xiong et al. 2020, arXiv 2002.04745). Tokens are patches of an image (Dosovitskiy et
    al. 2021, arXiv 2010.11929), runs of steps of a series, features of a table (FT-Transformer, Gorishniy et al.
    2021, arXiv 2106.11959), or the tokens of a text.
    """

    def __init__(self, config: TransformerConfig, card: Card) -> None:
        super().__init__()
        self.tokens: FeatureTokens | WordTokens | PatchTokens
        if card.modality == "table":
            self.tokens = FeatureTokens(card, config.width)
        else:
            self.tokens = WordTokens(card, config.width) if card.modality == "text" else PatchTokens(card, config)
        self.class_token = nn.Parameter(_INITIAL_DEVIATION * torch.randn(1, 1, config.width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                config.width,
                config.heads,
                config.expansion * config.width,
                config.dropout,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width)
        self.classifier = nn.Linear(config.width, card.outputs)

    def forward(self, inputs: Inputs) -> Tensor:
        tokens, length = self.tokens(inputs)
        x = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1)
        padding = None if length is None else ~valid_steps(length + 1, x.shape[1])
        for block in self.blocks:
            x = block(x, src_key_padding_mask=padding)
        logits: Tensor = self.classifier(self.norm(x[:, 0]))
        return logits


class PatchTokens(nn.Module):
    """Square patches of an image or runs of steps of a series, with learned positions.

    Returns `[batch, tokens, width]` and, for series of unequal length, the valid tokens `[batch]`. An axis that
    the patch does not divide is continued by zeros.
    """

    def __init__(self, card: Card, config: TransformerConfig) -> None:
        super().__init__()
        self.input = GridInput(card)
        self.patch = config.patch
        convolution = nn.Conv1d if len(self.input.sizes) == 1 else nn.Conv2d
        self.project = convolution(self.input.channels, config.width, config.patch, config.patch)
        tokens = math.prod(math.ceil(size / config.patch) for size in self.input.sizes)
        self.position = nn.Parameter(_INITIAL_DEVIATION * torch.randn(1, tokens, config.width))
        # for F.pad: the last axis first, nothing before and what is missing after
        self.missing = [end for size in reversed(self.input.sizes) for end in (0, -size % config.patch)]

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor | None]:
        x, length = self.input(inputs)
        if any(self.missing):
            x = F.pad(x, self.missing)
        tokens = self.project(x).flatten(2).transpose(1, 2) + self.position
        return tokens, shortened(length, self.patch, tokens.shape[1])


class WordTokens(nn.Module):
    """Tokens of a text with learned positions: `[batch, tokens, width]` and the valid ones `[batch]`."""

    def __init__(self, card: Card, width: int) -> None:
        super().__init__()
        self.input = TokenInput(card, width)
        self.position = nn.Parameter(_INITIAL_DEVIATION * torch.randn(1, self.input.steps, width))

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        vectors, length = self.input(inputs)
        return vectors + self.position, length


class FeatureTokens(nn.Module):
    """A token a column: its value times a learned direction plus a bias, or the vector of its category.

    Returns `[batch, columns, width]` and None. A missing number adds a learned vector of its column, which starts
    at zero and stays there when train has none.
    """

    def __init__(self, card: Card, width: int) -> None:
        super().__init__()
        self.numeric = NumericInput(card) if "numeric" in card.inputs else None
        self.categorical = CategoricalInput(card, width) if "categorical" in card.inputs else None
        if self.numeric is not None:
            columns, bound = self.numeric.columns, width**-0.5
            self.weight = nn.Parameter(torch.empty(columns, width).uniform_(-bound, bound))
            self.bias = nn.Parameter(torch.empty(columns, width).uniform_(-bound, bound))
            self.missing = nn.Parameter(torch.zeros(columns, width))

    def forward(self, inputs: Inputs) -> tuple[Tensor, None]:
        tokens: list[Tensor] = []
        if self.numeric is not None:
            x, missing = self.numeric(inputs)
            values = torch.addcmul(self.bias, x.unsqueeze(2), self.weight)
            tokens.append(torch.addcmul(values, missing.unsqueeze(2), self.missing))
        if self.categorical is not None:
            tokens.append(self.categorical(inputs))
        return torch.cat(tokens, dim=1), None
