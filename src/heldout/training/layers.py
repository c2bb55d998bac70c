"""The layers of a network: what comes out of them, and what a forward pass costs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from heldout.inside import Layer

# told the name of a layer and what came out of it
See = Callable[[str, Tensor], None]


def layers_of(network: nn.Module) -> dict[str, nn.Module]:
    """The modules that have parameters of their own or no parts, by name; the network itself goes by its type.

    An attention layer is one with its projections, which it applies by itself.
    """
    found: dict[str, nn.Module] = {}
    whole: list[str] = []
    for name, module in network.named_modules():
        if any(name.startswith(f"{attention}.") for attention in whole):
            continue
        if isinstance(module, nn.MultiheadAttention):
            whole.append(name)
        if own_parameters(module) or not any(module.children()):
            found[name or type(network).__name__] = module
    return found


def own_parameters(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that belong to a layer and to none of its parts."""
    return list(module.parameters(recurse=isinstance(module, nn.MultiheadAttention)))


@contextmanager
def watched(layers: Mapping[str, nn.Module], see: See) -> Iterator[None]:
    """Tells `see` of each layer that is called."""
    with ExitStack() as hooks:
        for name, layer in layers.items():
            handle = layer.register_forward_hook(partial(_tell, see, name))
            hooks.callback(handle.remove)
        yield


def summarise(network: nn.Module, inputs: dict[str, Tensor]) -> tuple[list[Layer], int]:
    """Layers in the order of their calls, and the FLOPs of a forward pass over one example.

    The network is left on the CPU in evaluation mode. Counted are products of matrices and convolutions, as torch's
    `FlopCounterMode` counts them: a multiplication and an addition are two.

    Args:
        inputs: of one example, on the CPU, by name.
    """
    from torch.utils.flop_counter import FlopCounterMode

    layers = layers_of(network)
    shapes: dict[str, list[int]] = {}

    def see(name: str, output: Tensor) -> None:
        shapes.setdefault(name, list(output.shape[1:]))

    network.cpu().eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), _unfused(), watched(layers, see), counter:
        network(inputs)
    flops = _own_flops({name: sum(of.values()) for name, of in counter.get_flop_counts().items()}, network, layers)
    called = [*shapes, *(name for name in layers if name not in shapes)]
    return [_layer(name, layers[name], shapes.get(name), flops[name]) for name in called], counter.get_total_flops()


def _own_flops(counted: dict[str, int], network: nn.Module, layers: Mapping[str, nn.Module]) -> dict[str, int]:
    """By layer, without those of its parts that are layers too; `counted` has them, below the name of the network."""
    root = type(network).__name__
    own: dict[str, int] = {}
    for name in sorted(layers, key=lambda name: 0 if layers[name] is network else name.count(".") + 1, reverse=True):
        path = root if layers[name] is network else f"{root}.{name}"
        parts = [other for other in own if path == root or other.startswith(f"{name}.")]
        own[name] = counted.get(path, 0) - sum(own[part] for part in parts)
    return own


@contextmanager
def _unfused() -> Iterator[None]:
    """Has torch call single operations, which a counter sees, where one call of oneDNN or of attention does it all."""
    with warnings.catch_warnings():
        # of hardware that is not there
        warnings.filterwarnings("ignore", "TF32 acceleration")
        with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
            yield


def _layer(name: str, module: nn.Module, shape: list[int] | None, flops: int) -> Layer:
    parameters = own_parameters(module)
    return Layer(
        name=name,
        type=type(module).__name__,
        output_shape=shape,
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        flops=flops,
    )


def _tell(see: See, name: str, module: nn.Module, arguments: Any, output: Any) -> None:
    # a recurrent layer returns its outputs and its states; outputs may be packed
    while isinstance(output, tuple) and not isinstance(output, nn.utils.rnn.PackedSequence) and output:
        output = output[0]
    if isinstance(output, nn.utils.rnn.PackedSequence):
        output = output.data
    if isinstance(output, Tensor):
        see(name, output)
