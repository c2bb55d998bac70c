"""The summary of a network, against shapes and counts that follow from its definition."""

from __future__ import annotations

import pytest
import torch
from tests.models.examples import KINDS
from torch import nn

from heldout.config.model import (
    CNNConfig,
    GRUConfig,
    LSTMConfig,
    MatrixFactorisationConfig,
    MLPConfig,
    RNNConfig,
    TransformerConfig,
)
from heldout.models import build, deep_families
from heldout.training.layers import summarise

MADE = {name: make() for name, make in KINDS.items()}


def test_a_perceptron_layer_by_layer() -> None:
    example = MADE["series"]  # 2 channels of 17 steps, 3 classes
    layers, flops = summarise(build(MLPConfig(hidden=[5]), example.card), example.rows(slice(1)))
    told = {layer.name: (layer.type, layer.output_shape, layer.parameters, layer.flops) for layer in layers}
    assert told == {
        "input.grid": ("GridInput", [2, 17], 0, 0),
        "layers.0": ("Linear", [5], 5 * 35, 2 * 5 * 34),
        "layers.1": ("ReLU", [5], 0, 0),
        "layers.2": ("Linear", [3], 3 * 6, 2 * 3 * 5),
    }
    assert flops == 2 * (5 * 34 + 3 * 5)


def test_a_convolution() -> None:
    example = MADE["series"]
    config = CNNConfig(width=4, depth=1, kernel_sizes=[3], stride=1)
    layers, _ = summarise(build(config, example.card), example.rows(slice(1)))
    convolution = next(layer for layer in layers if layer.type == "Conv1d")
    assert convolution.output_shape == [4, 17]
    assert convolution.flops == 2 * 17 * 4 * 2 * 3


@pytest.mark.parametrize(("config", "gates"), [(RNNConfig, 1), (GRUConfig, 3), (LSTMConfig, 4)])
def test_a_recurrent_layer_counts_its_gates_at_each_step(config: type[RNNConfig], gates: int) -> None:
    example = MADE["series"]
    layers, _ = summarise(build(config(width=6), example.card), example.rows(slice(1)))
    recurrent = next(layer for layer in layers if layer.name == "recurrent")
    assert recurrent.output_shape == [17, 6]
    assert recurrent.flops == 17 * 2 * gates * 6 * (2 + 6)


def test_attention_counts_as_one_layer() -> None:
    example = MADE["text"]
    width, tokens = 8, 9 + 1
    config = TransformerConfig(width=width, heads=2, depth=1, expansion=2)
    layers, _ = summarise(build(config, example.card), example.rows(slice(1)))
    (attention,) = [layer for layer in layers if layer.type == "MultiheadAttention"]
    assert attention.parameters == 4 * width * width + 4 * width
    assert attention.flops == 2 * tokens * width * width * 4 + 2 * 2 * tokens * tokens * width


@pytest.mark.parametrize("family", deep_families(), ids=lambda family: str(family.family))
def test_every_parameter_belongs_to_one_layer(family: type[MLPConfig]) -> None:
    example = next(
        made
        for made in MADE.values()
        if made.card.modality in {modality.value for modality in family.accepts}
        and made.card.task in {task.value for task in family.solves}
    )
    network = build(family(), example.card)
    next(network.parameters()).requires_grad_(False)
    layers, flops = summarise(network, example.rows(slice(1)))
    assert sum(layer.parameters for layer in layers) == sum(p.numel() for p in network.parameters())
    assert sum(layer.trainable for layer in layers) == sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert sum(layer.flops for layer in layers) == flops
    # a product of two vectors, element by element, is not counted
    assert (flops > 0) is (family is not MatrixFactorisationConfig)


def test_a_network_is_left_as_it_was() -> None:
    network = nn.Sequential(nn.Linear(3, 2))
    hooks = len(network[0]._forward_hooks)

    class ByName(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            result: torch.Tensor = self.network(inputs["x"])
            return result

    summarise(ByName(), {"x": torch.zeros(1, 3)})
    assert len(network[0]._forward_hooks) == hooks
