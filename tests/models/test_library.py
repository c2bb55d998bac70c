"""Networks of torchvision and timm. `make test-vision` installs both; without them only the first test runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.models.examples import image

from heldout.config.model import LibraryConfig, TimmConfig, TorchvisionConfig
from heldout.config.transfer import TransferConfig
from heldout.models import build, deep_families, registry, save_weights
from heldout.models.errors import UnsuitableModel
from heldout.models.groups import depth_groups
from heldout.training.transfer import WeightsRefused, start_from

LIBRARIES = (TorchvisionConfig, TimmConfig)
CARD = image(1, 8, 8).card


@pytest.mark.parametrize("library", LIBRARIES)
def test_without_its_package_the_extra_is_named(library: type[LibraryConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    deep_families()
    monkeypatch.delitem(registry._builders, library, raising=False)
    with pytest.raises(UnsuitableModel, match=rf"needs the package {library.needs}.*pip install 'heldout\[vision\]'"):
        build(library(), CARD)


@pytest.fixture(params=LIBRARIES, ids=lambda library: str(library.family))
def library(request: pytest.FixtureRequest) -> type[LibraryConfig]:
    pytest.importorskip(request.param.needs)
    found: type[LibraryConfig] = request.param
    return found


def published(library: type[LibraryConfig], name: str) -> dict[str, torch.Tensor]:
    """What a file of the library holds: random weights (seed 3) of a network for ImageNet's 1,000 classes."""
    torch.manual_seed(3)
    if library is TimmConfig:
        import timm

        return dict(timm.create_model(name, num_classes=1000).state_dict())
    from torchvision import models

    return dict(models.get_model(name, weights=None, num_classes=1000).state_dict())


def test_a_name_that_the_library_does_not_know_is_refused(library: type[LibraryConfig]) -> None:
    with pytest.raises(UnsuitableModel, match=r"model.architecture=resnet19: .* expected for example .*resnet18"):
        build(library(architecture="resnet19"), CARD)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "vit"])
def test_a_file_fills_all_but_the_classifier(library: type[LibraryConfig], name: str, tmp_path: Path) -> None:
    if library is TimmConfig:
        name = {"mobilenet_v3_small": "mobilenetv3_small_050", "vit": "vit_tiny_patch16_224"}.get(name, name)
    elif name == "vit":
        name = "squeezenet1_1"  # a convolution is its classifier
    side = 224 if name.startswith("vit") else 64
    given = published(library, name)
    torch.save(given, tmp_path / "weights.pth")
    network = build(library(architecture=name, image_size=side, dropout=0.1), CARD)
    started = start_from(TransferConfig("file", str(tmp_path / "weights.pth")), network, CARD)
    assert started is not None
    classifier = {id(parameter) for parameter in depth_groups(network)[-1]}
    now = network.state_dict()
    for key, parameter in network.named_parameters():
        if id(parameter) not in classifier:
            torch.testing.assert_close(now[key], given[key.removeprefix("network.")], rtol=0, atol=0)
    assert sum(parameter.shape[0] == len(CARD.classes) for parameter in depth_groups(network)[-1]) == 2
    assert network({"x": torch.zeros(2, 1, 8, 8, dtype=torch.uint8)}).shape == (2, len(CARD.classes))


def test_pixels_are_standardised_by_the_numbers_of_the_library(library: type[LibraryConfig]) -> None:
    """Torchvision and timm name for resnet18 the mean 0.485, 0.456, 0.406 and deviation 0.229, 0.224, 0.225."""
    network = build(library(architecture="resnet18"), replace(CARD, statistics={"x": {"mean": [0.9], "std": [0.1]}}))
    pixels, _ = network.input({"x": torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1)})
    assert pixels[0].flatten().tolist() == pytest.approx([-2.1179, -2.0357, -1.8044], abs=1e-4)
    assert pixels[1].flatten().tolist() == pytest.approx([2.2489, 2.4286, 2.6400], abs=1e-4)


def test_weights_of_another_network_are_refused(library: type[LibraryConfig], tmp_path: Path) -> None:
    torch.save(published(library, "resnet50"), tmp_path / "weights.pth")
    with pytest.raises(WeightsRefused, match=r"has shape \[64, 64, 1, 1\], expected \[64, 64, 3, 3\]"):
        start_from(
            TransferConfig("file", str(tmp_path / "weights.pth")), build(library(architecture="resnet18"), CARD), CARD
        )


def test_a_run_of_ones_own_serves_as_well(library: type[LibraryConfig], tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_weights(build(library(), CARD), tmp_path / "weights.safetensors")
    started = start_from(TransferConfig("run", str(tmp_path)), build(library(), CARD), CARD)
    assert started is not None
    assert started.tensors == started.of
