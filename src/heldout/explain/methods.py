"""Attributions: how much each pixel, step, column or token of an example has to do with the answer.

Each method returns float64 arrays by input of the card: `x` `[height, width]` or `[channels, steps]`, `numeric` and
`categorical` `[columns]`, `tokens` `[tokens]`.
"""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from heldout.config.explain import ExplainConfig, Method
from heldout.explain.features import Features
from heldout.models.inputs import Inputs
from heldout.models.transformer import PatchTokens, Transformer

# forward passes at once
OCCLUSIONS_AT_ONCE = 64

Attributions = dict[str, np.ndarray]


def applies(method: Method, network: nn.Module) -> bool:
    """Whether a network has what the method looks at."""
    return method is not Method.attention_rollout or isinstance(network, Transformer)


def attribute(method: Method, network: nn.Module, example: Inputs, target: int, config: ExplainConfig) -> Attributions:
    """Attributions of one example `[1, ...]` for the logit of class `target`."""
    if method is Method.attention_rollout:
        assert isinstance(network, Transformer)
        return attention_rollout(network, example)
    features = Features(network, example)
    if method is Method.occlusion:
        return occlusion(features, target, config.window)
    return integrated_gradients(features, target, config.steps)


def integrated_gradients(features: Features, target: int, steps: int) -> Attributions:
    """Sundararajan et al. 2017 (arXiv 1703.01365), from the mean over train, or from no tokens, to the example.

    Their sum is, up to the error of `steps` steps, the logit of the example less that of where the path begins.
    """
    from captum.attr import IntegratedGradients

    found = IntegratedGradients(features).attribute(features.values, target=target, n_steps=steps)
    return _by_input(features, found)


def occlusion(features: Features, target: int, window: int | None) -> Attributions:
    """Zeiler and Fergus 2014 (arXiv 1311.2901), section 4: the fall of the logit when a window is hidden.

    A window covers all channels, or one token or column; `window` is its side on images and series, by default an
    eighth of the axis, and it moves by half of it.
    """
    from captum.attr import Occlusion

    windows, strides = zip(
        *(_window(name, tuple(value.shape[1:]), window) for name, value in _named(features)), strict=True
    )
    with torch.no_grad(), warnings.catch_warnings():
        # of a window that covers the whole axis
        warnings.filterwarnings("ignore", ".*sliding window.*")
        found = Occlusion(features).attribute(
            features.values,
            sliding_window_shapes=windows,
            strides=strides,
            target=target,
            perturbations_per_eval=OCCLUSIONS_AT_ONCE,
        )
    return _by_input(features, found)


def attention_rollout(network: Transformer, example: Inputs) -> Attributions:
    """Abnar and Zuidema 2020 (arXiv 2005.00928), section 3: the flow of attention from the inputs to the class token.

    The mean over heads, half of it the residual connection, multiplied from block to block. It knows no target.
    """
    maps: list[Tensor] = []
    with ExitStack() as hooks, torch.no_grad():
        for block in network.blocks:
            attention: Any = block.self_attn
            hooks.callback(attention.register_forward_pre_hook(_ask_for_weights, with_kwargs=True).remove)
            hooks.callback(attention.register_forward_hook(lambda m, a, output: maps.append(output[1])).remove)
        network.eval()(example)
    flow = rollout([of[0] for of in maps])
    return _of_tokens(network, example, flow[0, 1:].double())


def rollout(attentions: list[Tensor]) -> Tensor:
    """The product of the attentions `[tokens, tokens]` of all blocks, each mixed evenly with the identity."""
    size = len(attentions[0])
    flow = torch.eye(size)
    for attention in attentions:
        mixed = (attention + torch.eye(size)) / 2
        flow = mixed / mixed.sum(dim=1, keepdim=True) @ flow
    return flow


def _ask_for_weights(module: nn.Module, arguments: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return arguments, {**given, "need_weights": True, "average_attn_weights": True}


def _of_tokens(network: Transformer, example: Inputs, flow: Tensor) -> Attributions:
    """What flows from the tokens `[tokens]`, shared out to what each was made from."""
    if isinstance(network.tokens, PatchTokens):
        sizes, patch = network.tokens.input.sizes, network.tokens.patch
        grid = flow.reshape([-(-size // patch) for size in sizes])
        for axis, size in enumerate(sizes):
            grid = grid.repeat_interleave(patch, axis).narrow(axis, 0, size)
        values = grid.numpy() if len(sizes) == 2 else np.tile(grid.numpy(), (network.tokens.input.channels, 1))
        return {"x": values}
    if "tokens" in example:
        return {"tokens": flow.numpy()}
    columns = {name: example[name].shape[1] for name in ("numeric", "categorical") if name in example}
    parts = torch.split(flow, list(columns.values()))
    return {name: part.numpy() for name, part in zip(columns, parts, strict=True)}


def _named(features: Features) -> list[tuple[str, Tensor]]:
    return list(zip(features.names, features.values, strict=True))


def _window(name: str, shape: tuple[int, ...], window: int | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and stride, without the axis of the examples."""
    if name != "x":
        # one column, or the whole vector of one token or category
        return (1, *shape[1:]), (1, *shape[1:])
    sides = [min(size, window or max(1, size // 8)) for size in shape[1:]]
    return (shape[0], *sides), (shape[0], *(max(1, side // 2) for side in sides))


def _by_input(features: Features, found: tuple[Tensor, ...]) -> Attributions:
    reduced: Attributions = {}
    for name, of in zip(features.names, found, strict=True):
        values = of[0].double()
        if name == "x" and values.ndim == 3:
            values = values.sum(dim=0)
        elif name in ("tokens", "categorical"):
            values = values.sum(dim=1)
        reduced[name] = values.numpy()
    return reduced
