"""Multilayer perceptron."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from heldout.config.model import MLPConfig
from heldout.models.inputs import Inputs, flat_input
from heldout.models.registry import register

if TYPE_CHECKING:
    from heldout.data.card import Card


@register(MLPConfig)
class MLP(nn.Module):
    """Dense layers with ReLU over the flattened input; returns logits `[batch, classes]`."""

    def __init__(self, config: MLPConfig, card: Card) -> None:
        super().__init__()
        self.input = flat_input(card, config.embedding)
        layers: list[nn.Module] = [nn.Dropout(config.input_dropout)] if config.input_dropout else []
        units = self.input.features
        for hidden in config.hidden:
            layers += [nn.Linear(units, hidden), nn.ReLU()]
            if config.dropout:
                layers.append(nn.Dropout(config.dropout))
            units = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(units, card.outputs))

    def forward(self, inputs: Inputs) -> Tensor:
        logits: Tensor = self.layers(self.input(inputs))
        return logits
