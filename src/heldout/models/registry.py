"""The deep families by their config class.

A module of this package whose class carries `@register(SomeConfig)` is a family; nothing else lists it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from heldout.config.model import ModelConfig
from heldout.models.errors import UnsuitableModel

if TYPE_CHECKING:
    from torch import nn

    from heldout.config.model import DeepConfig
    from heldout.data.card import Card

Builder = Callable[[Any, "Card"], "nn.Module"]
B = TypeVar("B", bound=Builder)

_builders: dict[type[ModelConfig], Builder] = {}


def register(config: type[DeepConfig]) -> Callable[[B], B]:
    """Say what builds the models of a config class: a callable of `(config, card)`, most simply a module class.

    Raises ValueError when that config class already has a builder.
    """

    def add(builder: B) -> B:
        if config in _builders:
            raise ValueError(f"{config.__name__} is already built by {_builders[config]}")
        _builders[config] = builder
        return builder

    return add


def deep_families() -> dict[type[ModelConfig], Builder]:
    """Every registered family; imports torch."""
    _import_families()
    return dict(_builders)


def build(config: ModelConfig, card: Card) -> nn.Module:
    """Build the untrained network that `config` describes, sized from the card.

    Its forward takes the inputs of a batch by name, as the card lists them, and returns logits
    `[batch, classes]` or, where a number is predicted, that number `[batch, 1]`, standardised. Initial weights come
    from torch's global generator.

    Raises UnsuitableModel when the family has no builder, cannot read the card's modality, or when the
    data are too small for one of its settings.
    """
    require_readable(config, card)
    builders = deep_families()
    if type(config) not in builders:
        if config.needs is not None:
            raise UnsuitableModel(
                f"model={config.family} needs the package {config.needs}; expected the extra `vision`: "
                "pip install 'heldout[vision]'."
            )
        known = ", ".join(sorted(c.family for c in builders))
        raise UnsuitableModel(f"model.family={config.family}: expected a deep family, one of {known}")
    return builders[type(config)](config, card)


def require_readable(config: ModelConfig, card: Card) -> None:
    """Raise UnsuitableModel unless the family can read data of the card's modality, and predict its target."""
    accepted = sorted(modality.value for modality in config.accepts)
    if card.modality not in accepted:
        raise UnsuitableModel(
            f"model={config.family} with data={card.name}: this family reads data of modality "
            f"{' or '.join(accepted)}, and {card.name} is of modality {card.modality}; choose another family"
        )
    if card.task not in {task.value for task in config.solves}:
        raise UnsuitableModel(
            f"model={config.family} with data={card.name}: this family solves "
            f"{' or '.join(sorted(task.value for task in config.solves))}, and {card.name} is a {card.task}; choose "
            "another family"
        )


@cache
def _import_families() -> None:
    package = importlib.import_module("heldout.models")
    for module in pkgutil.iter_modules(package.__path__):
        if not module.ispkg:
            importlib.import_module(f"heldout.models.{module.name}")
