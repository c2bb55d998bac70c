"""What is particular to a family: published sizes, settings, unequal lengths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.models.examples import Example, image, series, table, with_input_length
from torch import nn

from heldout.config.model import (
    CNNConfig,
    DeepConfig,
    GRUConfig,
    Head,
    LSTMConfig,
    MLPConfig,
    Readout,
    ResNetConfig,
    RNNConfig,
    SeriesResNetConfig,
    TransformerConfig,
)
from heldout.models import build
from heldout.models.errors import UnsuitableModel

READOUTS = list(Readout)


def made(config: DeepConfig, example: Example) -> nn.Module:
    torch.manual_seed(0)
    return build(config, example.card)


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def evaluated(module: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = module.eval()(inputs)
    return logits


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (CNNConfig(width=25, depth=3, kernel_sizes=[5, 3], stride=2, padding=1, head=Head.flatten), 5_210),
        (GRUConfig(width=6, bidirectional=True, readout=Readout.flatten), 5_134),
        (MLPConfig(hidden=[100, 100]), 15_210),
        (MLPConfig(hidden=[]), 410),
    ],
    ids=["cnn", "gru", "mlp", "linear"],
)
def test_sizes_of_the_mnist1d_networks(config: DeepConfig, parameters: int) -> None:
    """Of the models in Greydanus and Kobak 2020 (arXiv 2011.14439), 40 steps and 10 classes."""
    card = replace(series(1, 40).card, classes=[str(i) for i in range(10)])
    assert size(build(config, card)) == parameters


class TestCNN:
    def test_pooling_makes_the_size_independent_of_the_input(self) -> None:
        config = CNNConfig(head=Head.pool)
        assert size(made(config, image(1, 8, 8))) == size(made(config, image(1, 28, 28)))

    def test_padding_that_is_too_small_is_refused(self) -> None:
        with pytest.raises(UnsuitableModel, match=r"model.padding=0: .* kernel size 5 .* axis that is 3 long"):
            made(CNNConfig(padding=0), image(3, 5, 3))

    def test_more_kernel_sizes_than_layers_are_refused(self) -> None:
        with pytest.raises(UnsuitableModel, match=r"model.kernel_sizes=\[5, 3\]: expected at most model.depth=1"):
            made(CNNConfig(depth=1), image(1, 8, 8))


@pytest.mark.parametrize("config", [RNNConfig, GRUConfig, LSTMConfig])
@pytest.mark.parametrize("bidirectional", [False, True])
class TestRecurrent:
    @pytest.mark.parametrize("readout", READOUTS)
    def test_a_padded_series_is_read_as_if_it_were_alone(
        self, config: Callable[..., DeepConfig], bidirectional: bool, readout: Readout
    ) -> None:
        example = series(2, 12, unequal=True)
        module = made(config(width=8, depth=2, bidirectional=bidirectional, readout=readout), example)
        together = evaluated(module, example.tensors())
        alone = []
        for row, length in enumerate(example.inputs["length"]):
            one = example.rows(slice(row, row + 1))
            steps = made_states(module, one["x"][:, :, :length])
            alone.append(read(steps, readout, bidirectional, total=12))
        torch.testing.assert_close(together, module.classifier(torch.cat(alone)), rtol=1e-4, atol=1e-5)

    def test_the_rows_of_an_image_are_its_steps(self, config: Callable[..., DeepConfig], bidirectional: bool) -> None:
        module = made(config(bidirectional=bidirectional), image(3, 8, 5))
        assert module.recurrent.input_size == 3 * 5
        assert module.classifier.in_features == 8 * 32 * (1 + bidirectional)


def test_an_lstm_begins_with_the_bias_of_the_forget_gate_that_is_asked_for() -> None:
    network: Any = made(LSTMConfig(width=4, depth=2, bidirectional=True, forget_bias=1.0), series(2, 20))
    lstm = network.recurrent
    for layer in ("l0", "l1", "l0_reverse", "l1_reverse"):
        total = getattr(lstm, f"bias_ih_{layer}") + getattr(lstm, f"bias_hh_{layer}")
        assert (total[4:8] == 1).all()
        assert not (total[:4] == 1).any()


def made_states(module: Any, x: torch.Tensor) -> torch.Tensor:
    """States of a recurrent network that is given the valid steps of one series only: `[steps, units]`."""
    standardised, _ = module.input({"x": x})
    with torch.inference_mode():
        states: torch.Tensor = module.recurrent(standardised.transpose(1, 2))[0]
    return states[0]


def read(states: torch.Tensor, readout: Readout, bidirectional: bool, total: int) -> torch.Tensor:
    """By the definition of each readout, for one series."""
    if readout is Readout.mean:
        return states.mean(dim=0, keepdim=True)
    if readout is Readout.flatten:
        padded = torch.zeros(total, states.shape[1])
        padded[: len(states)] = states
        return padded.T.reshape(1, -1)
    forwards = states[-1]
    if bidirectional:
        half = states.shape[1] // 2
        forwards = torch.cat([states[-1, :half], states[0, half:]])
    return forwards.unsqueeze(0)


class TestResNet:
    @pytest.mark.parametrize(("depth", "channels"), [(1, [4]), (2, [4, 8]), (3, [4, 8, 16]), (5, [4, 4, 8, 8, 16])])
    def test_blocks_are_spread_over_stages(self, depth: int, channels: list[int]) -> None:
        module: Any = made(ResNetConfig(width=4, depth=depth), series(2, 17))
        assert [block.second.out_channels for block in module.blocks] == channels

    @pytest.mark.parametrize("example", [image(1, 8, 8), series(2, 17), table(4, 2)], ids=["image", "series", "table"])
    def test_without_skip_the_same_layers_are_stacked_plainly(self, example: Example) -> None:
        skipping, plain = (made(ResNetConfig(skip=skip), example) for skip in (True, False))
        names = {name for name, _ in skipping.named_parameters() if "projection" not in name}
        assert {name for name, _ in plain.named_parameters()} == names

    def test_the_skip_connection_carries_the_input(self) -> None:
        """A block whose last norm is silenced is the identity with skip, and dead without (He et al. 2016)."""
        for skip in (True, False):
            module: Any = made(ResNetConfig(width=4, depth=1, skip=skip), series(2, 17))
            nn.init.zeros_(module.blocks[0].second_norm.weight)
            x = torch.rand(3, 4, 17)
            found, _ = module.blocks[0](x, None)
            torch.testing.assert_close(found, x if skip else torch.zeros_like(x))

    def test_an_even_kernel_is_refused(self) -> None:
        with pytest.raises(UnsuitableModel, match=r"model.kernel_size=4: expected an odd number"):
            made(ResNetConfig(kernel_size=4), series(2, 17))


def test_the_inputs_of_an_mlp_are_dropped_while_training_only() -> None:
    module: Any = made(MLPConfig(input_dropout=0.999), series(2, 17))
    inputs = series(2, 17).tensors()
    bias = nn.Sequential(*module.layers[1:])(torch.zeros(1, 34))
    torch.testing.assert_close(module(inputs).median(dim=0).values, bias[0], rtol=0, atol=1e-5)
    assert (evaluated(module, inputs) - bias).abs().max() > 0.01


class TestSeriesResNet:
    def test_the_published_network_has_the_published_layers(self) -> None:
        """Wang, Yan and Oates 2017, figure 1(c): blocks of 64, 128, 128 channels, kernels 8, 5, 3, full length."""
        module: Any = made(SeriesResNetConfig(width=64), series(2, 17))
        kernels = [tuple(c.weight.shape) for block in module.blocks for c in block.convolutions]
        first = [(64, 2, 8), (64, 64, 5), (64, 64, 3)]
        assert kernels == [*first, (128, 64, 8), (128, 128, 5), (128, 128, 3)] + [(128, 128, k) for k in (8, 5, 3)]
        x = torch.rand(3, 2, 17)
        assert module.blocks[0](x, None).shape == (3, 64, 17)


class TestTransformer:
    @pytest.mark.parametrize(
        ("example", "tokens"),
        [(image(1, 8, 8), 4), (image(3, 5, 3), 2), (series(2, 17), 5), (table(4, 2), 6)],
        ids=["image", "image that no patch divides", "series", "table"],
    )
    def test_tokens_cover_the_input(self, example: Example, tokens: int) -> None:
        module: Any = made(TransformerConfig(), example)
        assert module.tokens(example.tensors())[0].shape[1] == tokens

    def test_every_pixel_counts_where_no_patch_divides_the_image(self) -> None:
        module = made(TransformerConfig(), image(1, 5, 3))
        dark = torch.zeros(1, 1, 5, 3, dtype=torch.uint8)
        before = evaluated(module, {"x": dark})
        for row in range(5):
            for column in range(3):
                lit = dark.clone()
                lit[0, 0, row, column] = 255
                assert not torch.equal(evaluated(module, {"x": lit}), before)

    def test_blocks_start_differently(self) -> None:
        module: Any = made(TransformerConfig(), series(2, 17))
        first, second = (block.linear1.weight for block in module.blocks)
        assert not torch.equal(first, second)


@pytest.mark.parametrize(
    "config",
    [
        CNNConfig(head=Head.pool),
        GRUConfig(readout=Readout.last, bidirectional=True),
        ResNetConfig(),
        SeriesResNetConfig(),
    ],
    ids=["cnn", "gru", "resnet", "series_resnet"],
)
def test_more_padding_changes_nothing(config: DeepConfig) -> None:
    example = series(2, 12, unequal=True)
    longer = with_input_length(example, 19)
    module, other = made(config, example), made(config, longer)
    other.load_state_dict(module.state_dict())
    torch.testing.assert_close(
        evaluated(other, longer.tensors()), evaluated(module, example.tensors()), rtol=1e-4, atol=1e-5
    )
