"""Networks for images of torchvision and timm, by their names there."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heldout.config.model import LibraryConfig, TimmConfig, TorchvisionConfig
from heldout.models.errors import UnsuitableModel
from heldout.models.inputs import GridInput, Inputs
from heldout.models.registry import register

if TYPE_CHECKING:
    from heldout.data.card import Card

# of the channels of ImageNet, for networks that say nothing else
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
INNER = "network."
ANSWER_MORE = ("googlenet", "inception_v3")


class LibraryNetwork(nn.Module):
    """A network of a library with a classifier of our own; logits `[batch, classes]`.

    Images are made coloured, scaled to `image_size` and standardised by the numbers that the library names for the
    network, not by those of the card: what its published weights expect.

    Raises UnsuitableModel when the library has no network of that name.
    """

    def __init__(
        self, config: LibraryConfig, card: Card, network: nn.Module, pixels: Sequence[Sequence[float]]
    ) -> None:
        super().__init__()
        mean, std = (torch.tensor(of).view(-1, 1, 1) for of in pixels)
        self.input = ColourInput(card, mean, std)
        self.size = config.image_size
        self.network = network

    def forward(self, inputs: Inputs) -> Tensor:
        x, _ = self.input(inputs)
        x = F.interpolate(x, size=(self.size, self.size), mode="bilinear", antialias=True)
        logits: Tensor = self.network(x)
        return logits


class ColourInput(GridInput):
    """Pixels as three channels, standardised by mean and deviation of each; grey ones are repeated."""

    def __init__(self, card: Card, mean: Tensor, std: Tensor) -> None:
        super().__init__(card)
        self.shift, self.scale = -mean / std, 1 / (255 * std)


def published_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a file of the library, by their names in a LibraryNetwork; those of its own files stay."""
    return {name if name.startswith((INNER, "input.")) else f"{INNER}{name}": of for name, of in tensors.items()}


def _torchvision(config: TorchvisionConfig, card: Card) -> LibraryNetwork:
    from torchvision import models

    # these two answer more than logits while they are trained
    _check_name(config, [name for name in models.list_models(module=models) if name not in ANSWER_MORE])
    network = models.get_model(config.architecture, weights=None, num_classes=card.outputs)
    _drop_before_the_last(network, config.dropout)
    transforms: Any = models.get_model_weights(config.architecture).DEFAULT.transforms()
    return LibraryNetwork(config, card, network, (transforms.mean, transforms.std))


def _drop_before_the_last(network: nn.Module, share: float) -> None:
    """Dropout before the classifier, where that is a dense layer: the library gives it to few of its networks."""
    dense = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if share and dense:
        parent, _, name = dense[-1].rpartition(".")
        holder = network.get_submodule(parent)
        setattr(holder, name, nn.Sequential(nn.Dropout(share), getattr(holder, name)))


def _timm(config: TimmConfig, card: Card) -> LibraryNetwork:
    import timm

    _check_name(config, timm.list_models())
    network = timm.create_model(config.architecture, num_classes=card.outputs, drop_rate=config.dropout)
    published = network.pretrained_cfg
    return LibraryNetwork(config, card, network, (published.get("mean", MEAN), published.get("std", STD)))


def _check_name(config: LibraryConfig, known: Sequence[str]) -> None:
    if config.architecture not in known:
        near = difflib.get_close_matches(config.architecture, known, n=3) or list(known)[:3]
        raise UnsuitableModel(
            f"model.architecture={config.architecture}: {config.family} has no network of this name for classes; "
            f"expected for example {', '.join(near)}."
        )


# found, not imported: they take seconds
for _config, _builder in ((TorchvisionConfig, _torchvision), (TimmConfig, _timm)):
    if find_spec(str(_config.needs)) is not None:
        register(_config)(_builder)
