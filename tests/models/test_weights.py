"""Weights as files: complete or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.models.examples import image, series
from torch import nn

from heldout.config.model import MLPConfig, ResNetConfig
from heldout.models import build, load_weights, save_weights
from heldout.models.errors import UnreadableModelFile


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return build(MLPConfig(hidden=[4]), series(2, 3).card)


def test_buffers_travel_too(network: nn.Module, tmp_path: Path) -> None:
    save_weights(network, tmp_path / "w")
    # another data set of the same shape has other statistics: the file's must win
    card = series(2, 3).card
    card.statistics["x"]["mean"][:] = [100.0, 100.0]
    other = build(MLPConfig(hidden=[4]), card)
    load_weights(other, tmp_path / "w")
    assert torch.equal(other.state_dict()["input.grid.shift"], network.state_dict()["input.grid.shift"])


def test_channels_last_weights_can_be_stored(tmp_path: Path) -> None:
    network = build(ResNetConfig(), image(3, 8, 8).card)
    save_weights(network, tmp_path / "w")
    expected = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    load_weights(network, tmp_path / "w")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, expected[name])


def test_weights_of_another_shape_are_refused_and_leave_the_network(network: nn.Module, tmp_path: Path) -> None:
    save_weights(build(MLPConfig(hidden=[5]), series(2, 3).card), tmp_path / "w")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(UnreadableModelFile, match=r"another network: layers.0.bias has shape \[5\], expected \[4\]"):
        load_weights(network, tmp_path / "w")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_weights_with_other_names_are_refused(network: nn.Module, tmp_path: Path) -> None:
    save_weights(build(MLPConfig(hidden=[4, 4]), series(2, 3).card), tmp_path / "w")
    with pytest.raises(UnreadableModelFile, match=r"layers.4.bias is not part of this one.*and 1 more"):
        load_weights(network, tmp_path / "w")


def test_an_absent_file_is_named(network: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(UnreadableModelFile, match="absent: no such file"):
        load_weights(network, tmp_path / "absent")


@pytest.mark.parametrize("cut", [0, 4, 200])
def test_a_damaged_file_is_refused(network: nn.Module, tmp_path: Path, cut: int) -> None:
    file = tmp_path / "w"
    save_weights(network, file)
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(UnreadableModelFile, match="not a readable safetensors file"):
        load_weights(network, file)


def test_a_failed_write_leaves_the_old_file(network: nn.Module, tmp_path: Path) -> None:
    file = tmp_path / "w"
    save_weights(network, file)
    before = file.read_bytes()
    network.register_buffer("unstorable", torch.zeros(2).to_sparse())
    with pytest.raises(RuntimeError):
        save_weights(network, file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]
