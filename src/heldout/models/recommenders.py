"""Recommenders: the rating of an item by a user, from a vector of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from heldout.config.model import MatrixFactorisationConfig, NeuralRecommenderConfig
from heldout.models.inputs import Inputs
from heldout.models.registry import register

if TYPE_CHECKING:
    from heldout.data.card import Card

# of the vectors' products at the beginning
_INITIAL_DEVIATION = 0.1


class PairInput(nn.Module):
    """Vectors of user and item, each float `[batch, width]`, and the sum of their biases `[batch, 1]`.

    Whom train does not hold, of code 0, has the zero vector and no bias.
    """

    def __init__(self, card: Card, width: int) -> None:
        super().__init__()
        users, items = (1 + len(column["categories"]) for column in card.categorical_columns)
        self.users, self.items = nn.Embedding(users, width), nn.Embedding(items, width)
        self.user_bias, self.item_bias = nn.Embedding(users, 1), nn.Embedding(items, 1)
        with torch.no_grad():
            for vectors in (self.users, self.items):
                vectors.weight.normal_(0, _INITIAL_DEVIATION / width**0.25)
                vectors.weight[0] = 0.0
            for bias in (self.user_bias, self.item_bias):
                bias.weight.zero_()

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
        user, item = inputs["categorical"].unbind(dim=1)
        return self.users(user), self.items(item), self.user_bias(user) + self.item_bias(item)


@register(MatrixFactorisationConfig)
class MatrixFactorisation(nn.Module):
    """Biases plus the product of the vectors (Koren, Bell and Volinsky 2009); returns ratings `[batch, 1]`."""

    def __init__(self, config: MatrixFactorisationConfig, card: Card) -> None:
        super().__init__()
        self.input = PairInput(card, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, inputs: Inputs) -> Tensor:
        user, item, bias = self.input(inputs)
        rating: Tensor = bias + self.dropout(user * item).sum(dim=1, keepdim=True)
        return rating


@register(NeuralRecommenderConfig)
class NeuralRecommender(nn.Module):
    """Biases plus dense layers over both vectors (He et al. 2017, arXiv 1708.05031, section 3.3); `[batch, 1]`."""

    def __init__(self, config: NeuralRecommenderConfig, card: Card) -> None:
        super().__init__()
        self.input = PairInput(card, config.width)
        layers: list[nn.Module] = []
        units = 2 * config.width
        for hidden in config.hidden:
            layers += [nn.Linear(units, hidden), nn.ReLU(), nn.Dropout(config.dropout)]
            units = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(units, 1))

    def forward(self, inputs: Inputs) -> Tensor:
        user, item, bias = self.input(inputs)
        rating: Tensor = bias + self.layers(torch.cat([user, item], dim=1))
        return rating
