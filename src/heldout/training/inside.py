"""Looks at the layers of a network at the ends of some epochs of its training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from heldout.config.training import InsideConfig
from heldout.data.batches import Batches
from heldout.data.store import Split
from heldout.data.subset import fixed_subset
from heldout.tasks.task import Task
from heldout.training.layers import layers_of, own_parameters, watched

Row = dict[str, Any]
# whose outputs are exactly zero below a threshold
RECTIFIERS = (torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, functional.relu, functional.relu6)
# what returns units in the last axis, not in that after the examples
UNITS_LAST = (nn.Linear, nn.LayerNorm, nn.MultiheadAttention, nn.RNNBase)


class LookInside(Callback):
    """Notes, at some ends of epochs, a row a layer, of those that have parameters.

    activation: root mean square of the layer's outputs, over fixed examples of train in evaluation mode. gradient,
    weight, update: L2 norms of the layer's gradient as the optimizer gets it, of its weights, and of the change the
    optimizer makes of them, all at the last step of the epoch. dead: share of the units of the ReLU behind the layer
    that are zero for each of the fixed examples at every position.
    """

    def __init__(self, settings: InsideConfig, part: Split, steps: int, batch_size: int) -> None:
        self.rows: list[Row] = []
        self._settings = settings
        rows = fixed_subset(len(part), settings.examples)
        inputs = {name: values[rows] for name, values in part.inputs.items()}
        self._batches = Batches(inputs, part.target[rows], batch_size, shuffle=False, seed=0)
        self._steps = steps
        self._step: LastStep | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Task)
        if is_looked_at(trainer.current_epoch + 1, trainer.max_epochs or 1, self._settings.looks):
            self._step = LastStep(trainer.optimizers[0], _with_parameters(pl_module.network), self._steps)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Task)
        if self._step is None:
            return
        step, self._step = self._step, None
        step.close()
        activations, dead = look(pl_module.network, self._batches)
        for name, norms in step.norms.items():
            values = {"activation": activations.get(name), **norms, "dead": dead.get(name)}
            self.rows.append({"epoch": trainer.current_epoch + 1, "layer": name, **values})

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._step is not None:
            self._step.close()

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]


def is_looked_at(epoch: int, epochs: int, looks: int) -> bool:
    """Whether the end of `epoch`, from 1, is one of the first and, in all, `looks` evenly spread ones."""
    return looks > 0 and (epoch == 1 or epoch * looks // epochs > (epoch - 1) * looks // epochs)


class LastStep:
    """Norms at the last of `steps` steps of an optimizer, by layer: `gradient`, `weight` and `update`.

    A layer whose parameters get no gradient has none.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, layers: Mapping[str, nn.Module], steps: int) -> None:
        self.norms: dict[str, dict[str, float | None]] = {}
        self._left = steps
        self._parameters = {name: own_parameters(layer) for name, layer in layers.items()}
        self._before: list[Tensor] = []
        self._hooks: list[RemovableHandle] = [
            optimizer.register_step_pre_hook(self._note_before),
            optimizer.register_step_post_hook(self._note_after),
        ]

    def close(self) -> None:
        """Leaves the optimizer as it was."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    @torch.no_grad()
    def _note_before(self, *_: Any) -> None:
        self._left -= 1
        if self._left == 0:
            self._before = [p.detach().clone() for of in self._parameters.values() for p in of]

    @torch.no_grad()
    def _note_after(self, *_: Any) -> None:
        if self._left != 0:
            return
        parameters = [p for of in self._parameters.values() for p in of]
        groups = {
            "gradient": [torch.zeros(()) if p.grad is None else p.grad for p in parameters],
            "weight": self._before,
            "update": list(torch._foreach_sub([p.detach() for p in parameters], self._before)),
        }
        # one wait for the device for all of them
        norms = {name: torch.stack([n.cpu() for n in torch._foreach_norm(of)]).tolist() for name, of in groups.items()}
        self._before = []
        first = 0
        for name, of in self._parameters.items():
            part = slice(first, first + len(of))
            first += len(of)
            self.norms[name] = {quantity: math.hypot(*values[part]) for quantity, values in norms.items()}
            if all(p.grad is None for p in of):
                self.norms[name]["gradient"] = None


@torch.inference_mode()
def look(network: nn.Module, batches: Batches) -> tuple[dict[str, float], dict[str, float]]:
    """Root mean square of the outputs by layer, and the share of dead units behind those with a ReLU.

    The network is left in the mode it was in.
    """
    outputs, rectified = _Outputs(), _Rectified()
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    layers = _with_parameters(network)

    def see(name: str, output: Tensor) -> None:
        outputs.add(name, output)
        rectified.behind(name, layers[name])

    with watched(layers, see), rectified:
        for batch in batches:
            network({name: tensor.to(device) for name, tensor in batch["inputs"].items()})
    network.train(was_training)
    return outputs.root_mean_squares(), rectified.dead()


class _Outputs:
    """Sums of squares of outputs by layer."""

    def __init__(self) -> None:
        self._squares: dict[str, Tensor] = {}
        self._values: dict[str, int] = {}

    def add(self, name: str, output: Tensor) -> None:
        self._squares[name] = self._squares.get(name, 0.0) + output.float().square().sum()
        self._values[name] = self._values.get(name, 0) + output.numel()

    def root_mean_squares(self) -> dict[str, float]:
        names = list(self._squares)
        sums = torch.stack([self._squares[name] for name in names]).tolist()
        return {name: math.sqrt(of / self._values[name]) for name, of in zip(names, sums, strict=True)}


class _Rectified(TorchFunctionMode):
    """Units of ReLUs that were above zero at least once, by the layer before them.

    Most networks call ReLU as a function, which leaves no module to watch.
    """

    def __init__(self) -> None:
        super().__init__()
        self._alive: dict[str, Tensor] = {}
        self._layer: tuple[str, bool] | None = None

    def behind(self, name: str, layer: nn.Module) -> None:
        """The layer that was called last."""
        self._layer = name, isinstance(layer, UNITS_LAST)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in RECTIFIERS and self._layer is not None:
            self._note(*self._layer, result)
        return result

    def _note(self, name: str, units_last: bool, output: Tensor) -> None:
        axis = output.ndim - 1 if units_last else 1
        others = [a for a in range(output.ndim) if a != axis]
        alive = output.amax(others) > 0
        known = self._alive.get(name)
        self._alive[name] = alive if known is None else known | alive

    def dead(self) -> dict[str, float]:
        return {name: 1 - float(alive.float().mean()) for name, alive in self._alive.items()}


def _with_parameters(network: nn.Module) -> dict[str, nn.Module]:
    return {name: layer for name, layer in layers_of(network).items() if own_parameters(layer)}
