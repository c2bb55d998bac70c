"""What a network computes from, as numbers that can be changed a little: its standardised or embedded inputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from heldout.models.inputs import CategoricalInput, GridInput, Inputs, NumericInput, TokenInput

# each standardises or embeds one input of the card; zero stands for the mean over train, or for no token or category
INPUT_LAYERS = (GridInput, NumericInput, CategoricalInput, TokenInput)


class Features:
    """A network as a function of what its input layers return.

    Whole numbers, such as tokens, have no gradient, and pixels no natural zero; what the input layers make of them has
    both. `values` has a tensor `[1, ...]` for each input layer, for the one example.
    """

    def __init__(self, network: nn.Module, example: Inputs) -> None:
        self._network = network.eval()
        self._example = example
        self._layers = [module for module in network.modules() if isinstance(module, INPUT_LAYERS)]
        self.names = [_input_of(layer) for layer in self._layers]
        found: dict[int, Tensor] = {}
        with ExitStack() as hooks, torch.no_grad():
            for position, layer in enumerate(self._layers):
                hooks.callback(layer.register_forward_hook(_note_into(found, position)).remove)
            self.logits: Tensor = network(example)
        self.values = tuple(found[position] for position in range(len(self._layers)))

    def __call__(self, *values: Tensor) -> Tensor:
        """Logits `[rows, classes]` for values `[rows, ...]`; whatever else the example has stays."""
        rows = len(values[0])
        example = {name: of.expand(rows, *of.shape[1:]) for name, of in self._example.items()}
        with self._replaced(values):
            logits: Tensor = self._network(example)
        return logits

    @contextmanager
    def _replaced(self, values: tuple[Tensor, ...]) -> Iterator[None]:
        def replace(value: Tensor) -> Any:
            # an input layer may return lengths or marks of missing values besides
            return lambda module, arguments, output: (value, *output[1:]) if isinstance(output, tuple) else value

        with ExitStack() as hooks:
            for layer, value in zip(self._layers, values, strict=True):
                hooks.callback(layer.register_forward_hook(replace(value)).remove)
            yield


def _note_into(found: dict[int, Tensor], position: int) -> Any:
    def note(module: nn.Module, arguments: Any, output: Any) -> None:
        found[position] = (output[0] if isinstance(output, tuple) else output).detach()

    return note


def _input_of(layer: nn.Module) -> str:
    """Name of the card's input that a layer reads."""
    names = {GridInput: "x", NumericInput: "numeric", CategoricalInput: "categorical", TokenInput: "tokens"}
    return next(name for kind, name in names.items() if isinstance(layer, kind))
