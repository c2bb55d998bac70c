"""Fits a network with Lightning."""

from __future__ import annotations

import logging
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, Trainer, seed_everything
from pytorch_lightning.callbacks import EarlyStopping
from torch import nn

from heldout.config.model import DeepConfig
from heldout.config.stages import TrainConfig
from heldout.config.training import (
    Accelerator,
    ClassifyConfig,
    GenerateConfig,
    LanguageConfig,
    RecommendConfig,
    RegressConfig,
    TaskConfig,
    TrainerConfig,
    TranslateConfig,
)
from heldout.data.batches import Batches
from heldout.data.card import Card
from heldout.data.packing import next_tokens
from heldout.data.pair_batches import PairBatches
from heldout.data.shard import Shard
from heldout.data.store import Split
from heldout.inside import Cost
from heldout.models import build, load_weights, save_weights
from heldout.models.beam import translated
from heldout.models.drawing import critic, drawer
from heldout.models.sampling import written
from heldout.models.target_scale import TargetScale
from heldout.scoring import CLASSIFICATION, GENERATION, MEASURED, TRANSLATION, WRITTEN, scoring_of
from heldout.tasks.classify import Classify
from heldout.tasks.drawn import RealImages
from heldout.tasks.generate import Generate
from heldout.tasks.language import Language, surprise
from heldout.tasks.regress import Regress
from heldout.tasks.shared_steps import SharedSteps
from heldout.tasks.supervised import Supervised
from heldout.tasks.task import BlockSteps, Task
from heldout.tasks.translate import Translate
from heldout.training import stop
from heldout.training.callbacks import (
    AsConfigured,
    Checkpoints,
    FiniteLoss,
    Frozen,
    History,
    KeepWeights,
    OwnRandomness,
    Report,
    StopOnSignal,
)
from heldout.training.cost import Costs
from heldout.training.drawings import DrawnByEpoch
from heldout.training.errors import TooManyWorkers
from heldout.training.fitted import FitInputs, Fitted, FromInside, LogMetrics, ReportEpoch
from heldout.training.inputs import fit_inputs
from heldout.training.inside import LookInside
from heldout.training.layers import summarise
from heldout.training.parallel import announce, joined, leading, store_of
from heldout.training.predicting import Predictor, drawing_predictor, pictures_of, predictor
from heldout.training.prepared import find_or_prepare
from heldout.training.samples import SAMPLES, samples_of
from heldout.training.transfer import start_from
from heldout.training.workers import DataParallel, Order, Workers

logger = logging.getLogger(__name__)
# progress is said by our own callbacks; importing Lightning has set its level to INFO
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)

# more would save little, and make a signal wait
MAX_STEPS_A_BLOCK = 16
MAX_BLOCK_BYTES = 1 << 26
# numbers that may come out of a network at once where nothing is learned from them
MAX_OUTPUTS = 1 << 25
TASKS: dict[type[TaskConfig], Callable[..., Supervised]] = {
    ClassifyConfig: Classify,
    RegressConfig: Regress,
    # a rating is a number
    RecommendConfig: Regress,
    LanguageConfig: Language,
    TranslateConfig: Translate,
}
GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"
CHECKPOINT = "last.ckpt"
WEIGHTS = "weights.safetensors"


def fit_deep(
    config: TrainConfig,
    data: FitInputs,
    seed: int,
    folder: Path,
    log: LogMetrics,
    name: str,
    report: ReportEpoch | None = None,
    parallel: DataParallel | None = None,
) -> Fitted:
    """Fits the network of `config` once; goes on from the checkpoint in `folder` if there is one.

    Args:
        report: told of each epoch; what it raises ends the fit.
        parallel: workers that share each batch with this process, the first of them; None fits here alone.

    Raises:
        Diverged: the loss is no longer a number.
        Interrupted: a signal arrived; `folder` holds the checkpoint to resume from.
        WorkerLost: another worker died; the same.
        TooManyWorkers: there are not as many GPUs, or not as many examples.
    """
    _prepare_torch(config, seed)
    shard = None if parallel is None else _shard(config.trainer, 0, parallel.workers.size)
    if parallel is not None:
        _check_workers(config, data, parallel.workers)
    real = RealImages(data.train, data.validation) if data.card.task == GENERATION else None
    module = _module(config, data, seed, shard, real)
    network = module.network
    started_from = start_from(config.transfer, network, data.card, config.tracking.uri)
    history = History(log, name, scoring_of(data.card.task).score)
    kept = KeepWeights(config.trainer.keep, config.trainer.monitor, config.trainer.mode)
    checkpoints = Checkpoints(folder / CHECKPOINT, config.trainer.checkpoint_seconds)
    inside, costs = _looks(config, data), Costs(len(data.train))
    callbacks: list[Callback] = [FiniteLoss(), history, kept, *_early_stopping(config), costs, *inside]
    callbacks += [*_frozen(config), checkpoints, StopOnSignal()]
    drawn = [*_drawn_by_epoch(config)]
    callbacks += drawn
    if report is not None:
        callbacks += [AsConfigured(config.optimizer), Report(report, kept, CHECKPOINT)]
    checkpoint = _checkpoint(folder, name)
    if parallel is None:
        _fit(_trainer(config, callbacks, folder), module, _loaders(config, data, seed, shard), checkpoint)
    else:
        order = _order(config, seed, parallel, report is not None, checkpoint)
        with leading(parallel.workers, order):
            trainer = _trainer(config, callbacks, folder, 0 if uses_gpus(config.trainer) else None)
            _fit(trainer, module, _loaders(config, data, seed, shard), checkpoint)
    seconds = history.seconds
    network.load_state_dict(kept.weights)
    save_weights(network, folder / WEIGHTS)
    batch_size = config.trainer.eval_batch_size
    splits = {"train": data.train_subset, "validation": data.validation}
    predict_split = network_predictor(network, batch_size, data.card, config.task, real)
    started = time.monotonic()
    predictions = {name: predict_split(split) for name, split in splits.items()}
    rate = sum(map(len, splits.values())) / (time.monotonic() - started)
    device = next(network.parameters()).device
    return Fitted(
        history=history.rows,
        predictions=predictions,
        kept_epoch=kept.epoch,
        epochs=int(history.rows[-1]["epoch"]),
        steps=module.steps_done,
        parameters=sum(p.numel() for p in network.parameters()),
        seconds=seconds,
        model_file=folder / WEIGHTS,
        started_from=started_from,
        texts=_texts(config.task, network, data.card) | samples_of(config.task, predictions["validation"]),
        pictures=_pictures(config.task, network, batch_size, real, drawn),
        inside=_from_inside(network, data, inside[0].rows, costs, rate, device.type) if inside else None,
    )


def fit_share(order: Order, rank: int, address: str) -> None:
    """Takes part in a fit as another worker than the first, which alone measures time, reports and writes."""
    config, group = order.config, order.group
    assert group is not None
    store = store_of(group)
    prepared = find_or_prepare(config.data, config.prepared)
    data = fit_inputs(config, prepared, order.folds, order.fold)
    _prepare_torch(config, order.seed)
    shard = _shard(config.trainer, rank, group.size)
    module = _module(config, data, order.seed, shard)
    callbacks: list[Callback] = [FiniteLoss(), *_early_stopping(config), OwnRandomness(order.seed)]
    if order.in_sweep:
        callbacks.append(AsConfigured(config.optimizer))
    device = rank % group.devices if uses_gpus(config.trainer) else None
    with TemporaryDirectory(prefix="heldout-worker-") as name:
        folder = Path(name)
        trainer = _trainer(config, callbacks, folder, device)
        checkpoint = None
        if order.checkpoint is not None:
            checkpoint = str(folder / CHECKPOINT)
            Path(checkpoint).write_bytes(order.checkpoint)
        announce(store, rank)
        with joined(store, order.backend, rank, group.size, address):
            _fit(trainer, module, _loaders(config, data, order.seed, shard), checkpoint)


def uses_gpus(settings: TrainerConfig) -> bool:
    """Whether a fit runs on GPUs of CUDA."""
    wanted = settings.accelerator
    return wanted is Accelerator.gpu or (wanted is Accelerator.auto and torch.cuda.is_available())


def load_network(config: DeepConfig, card: Card, weights: Path) -> nn.Module:
    """The trained network of a record, on the CPU."""
    network = build(config, card)
    load_weights(network, weights)
    return network


@torch.inference_mode()
def predict(network: nn.Module, split: Split, batch_size: int, card: Card) -> np.ndarray:
    """Class probabilities float32 `[examples, classes]`, numbers float64 `[examples]` in the unit of the target, or of
    texts their losses float64 `[examples]` in nats.

    In the order of the split, in evaluation mode.
    """
    network.eval()
    device = next(network.parameters()).device
    outputs: torch.Tensor | None = None
    for batch in _measured(split.inputs, _target_of(split, card), batch_size, card):
        inputs = {name: tensor.to(device) for name, tensor in batch["inputs"].items()}
        found = network(inputs).float()
        if card.task in WRITTEN:
            found = surprise(found, batch["target"].to(device)).double().sum(dim=1)
        # not a list of small tensors: each would keep the allocator from giving the place of its batch to the next one
        if outputs is None:
            outputs = torch.empty((len(split), *found.shape[1:]), dtype=found.dtype)
        outputs[batch["index"]] = found.cpu()
    assert outputs is not None
    if card.task in WRITTEN:
        return np.asarray(outputs.numpy())
    if card.task == CLASSIFICATION:
        return np.asarray(torch.softmax(outputs, dim=1).numpy())
    return TargetScale.of(card).restored(outputs.numpy())


def network_predictor(
    network: nn.Module, batch_size: int, card: Card, task: TaskConfig, real: RealImages | None
) -> Predictor:
    """The network as a function from a split to its predictions; real: beside which drawn images are measured."""
    if real is not None:
        return drawing_predictor(drawer(network, batch_size), real, critic(network, batch_size))
    return predictor(
        lambda split: predict(network, split, batch_size, card), card, lambda split: _translate(network, split, task)
    )


def _translate(network: nn.Module, split: Split, task: TaskConfig) -> list[list[int]]:
    """The tokens of a translation of each example of a split, without separators."""
    assert isinstance(task, TranslateConfig)
    return translated(network, split.inputs, task.search)


def _texts(task: TaskConfig, network: nn.Module, card: Card) -> dict[str, str]:
    """What the model writes, by the name of a file."""
    if not isinstance(task, LanguageConfig) or task.samples.count == 0:
        return {}
    texts = written(network, card, task.samples)
    return {SAMPLES: "\n\n".join(f"--- {number} ---\n{text}" for number, text in enumerate(texts, start=1)) + "\n"}


def _pictures(
    task: TaskConfig, network: nn.Module, batch_size: int, real: RealImages | None, drawn: list[DrawnByEpoch]
) -> dict[str, bytes]:
    """What the model draws, by the name of a file."""
    if real is None:
        return {}
    pictures = pictures_of(drawer(network, batch_size), real, task)
    return {**pictures, **{name: picture for one in drawn for name, picture in one.pictures().items()}}


def _drawn_by_epoch(config: TrainConfig) -> list[DrawnByEpoch]:
    if not isinstance(config.task, GenerateConfig):
        return []
    return [DrawnByEpoch(config.task.looks, config.trainer.eval_batch_size)]


def _frozen(config: TrainConfig) -> list[Callback]:
    frozen, fixed = config.transfer.frozen_epochs, config.transfer.fixed_statistics
    return [Frozen(frozen, fixed)] if frozen or fixed else []


def _looks(config: TrainConfig, data: FitInputs) -> list[LookInside]:
    settings = config.trainer
    if settings.inside.looks == 0:
        return []
    steps = math.ceil(len(data.train) / settings.batch_size)
    return [LookInside(settings.inside, data.train_subset, steps, settings.eval_batch_size)]


def _from_inside(
    network: nn.Module, data: FitInputs, rows: list[dict[str, Any]], costs: Costs, rate: float, device: str
) -> FromInside:
    """Moves the network to the CPU. rate: of prediction, examples a second."""
    example = {name: torch.from_numpy(values[:1].copy()) for name, values in data.train_subset.inputs.items()}
    layers, flops = summarise(network, example)
    cost = Cost(
        parameters=sum(layer.parameters for layer in layers),
        trainable=sum(layer.trainable for layer in layers),
        flops=flops,
        device=device,
        peak_memory=costs.peak_memory,
        memory_at_start=costs.memory_at_start,
        train_examples_per_second=costs.train_examples_per_second,
        predict_examples_per_second=rate,
    )
    return FromInside(layers, cost, rows)


def _prepare_torch(config: TrainConfig, seed: int) -> None:
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    seed_everything(seed, verbose=False)


def _module(
    config: TrainConfig, data: FitInputs, seed: int, shard: Shard | None, real: RealImages | None = None
) -> Task:
    assert isinstance(config.model, DeepConfig)
    options: dict[str, Any] = {
        "optimizer": config.optimizer,
        "schedule": config.schedule,
        "total_steps": config.trainer.max_epochs * math.ceil(len(data.train) / config.trainer.batch_size),
        "steps": _block_steps(config.trainer),
        "seed": seed,
        "shared": None if shard is None else SharedSteps(shard),
        "layer_decay": config.transfer.layer_decay,
    }
    if real is not None:
        measured = {"train": data.train_subset, "validation": data.validation}
        network = build(config.model, data.card)
        return Generate(network, real, measured, config.trainer.eval_batch_size, **options)
    return TASKS[type(config.task)](build(config.model, data.card), data.card, config.task, **options)


def _fit(trainer: Trainer, module: Task, loaders: tuple[Any, list[Any]], checkpoint: str | None) -> None:
    train, measured = loaders
    with _no_search_for_gpus(), warnings.catch_warnings():
        # loaders index memory: workers would only copy; the log interval concerns a logger we do not use; what is
        # measured has been summed up over all workers when it is logged
        warnings.filterwarnings(
            "ignore", ".*(does not have many workers|log_every_n_steps|TF32|`isinstance|sync_dist=True).*"
        )
        # of a copy that costs next to nothing, in the gradients that workers share
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        # said by FiniteLoss, with step and cause
        warnings.filterwarnings("ignore", "Encountered `nan` values")
        try:
            trainer.fit(module, train, measured, ckpt_path=checkpoint, weights_only=True)
        except SystemExit:
            # what Lightning makes of a SIGTERM during an evaluation: the end of the process, with exit code 0
            stop.obey()
            raise


def _shard(settings: TrainerConfig, rank: int, workers: int) -> Shard:
    return Shard(rank, workers, settings.batch_size)


def _check_workers(config: TrainConfig, data: FitInputs, workers: Workers) -> None:
    fewest = min(config.trainer.batch_size, len(data.train_subset), len(data.validation))
    if workers.size > fewest:
        raise TooManyWorkers(
            f"{workers.size} workers share batches of {config.trainer.batch_size} and measure on "
            f"{len(data.train_subset)} and {len(data.validation)} examples: expected at least one example a worker."
        )
    gpus, devices = torch.cuda.device_count(), workers.devices
    if uses_gpus(config.trainer) and 1 < devices > gpus:
        raise TooManyWorkers(
            f"trainer.devices={devices} with trainer.accelerator={config.trainer.accelerator.name}: this machine "
            f"has {gpus} GPU{'s' if gpus != 1 else ''}. Expected as many as devices, or trainer.accelerator=cpu."
        )


def _order(config: TrainConfig, seed: int, parallel: DataParallel, in_sweep: bool, checkpoint: str | None) -> Order:
    workers = parallel.workers
    return Order(
        config=config,
        seed=seed,
        folds=parallel.folds,
        fold=parallel.fold,
        in_sweep=in_sweep,
        folder=str(Path.cwd()),
        checkpoint=None if checkpoint is None else Path(checkpoint).read_bytes(),
        # NCCL wants a GPU for each alone
        backend="nccl" if uses_gpus(config.trainer) and workers.whole_gpus else "gloo",
    )


@contextmanager
def _no_search_for_gpus() -> Iterator[None]:
    """Where there is no GPU, says so to torch for the time of a fit.

    Adam asks at every step whether there is one, and without a driver each answer is a search for its library: a fifth
    of a small net's step.
    """
    hides = not torch.cuda.is_available() and GPU_VARIABLE not in os.environ
    if hides:
        os.environ[GPU_VARIABLE] = ""
    try:
        yield
    finally:
        if hides:
            del os.environ[GPU_VARIABLE]


def _loaders(config: TrainConfig, data: FitInputs, seed: int, shard: Shard | None = None) -> tuple[Any, list[Any]]:
    size = config.trainer.eval_batch_size
    block = config.trainer.batch_size * _steps_a_block(config.trainer, data.train)
    target = _target_of(data.train, data.card)
    kind = PairBatches if data.card.task == TRANSLATION else Batches
    train = kind(data.train.inputs, target, block, shuffle=True, seed=seed, shard=shard)
    # in the order of heldout.tasks.supervised.MEASURED_SPLITS
    measured = [
        # what is measured is summed up over the workers before metrics are made of it
        _measured(*_part(split, data.card, shard), size, data.card)
        for split in (data.train_subset, data.validation)
    ]
    return train, measured


def _measured(inputs: dict[str, np.ndarray], target: np.ndarray, batch_size: int, card: Card) -> Batches:
    kind = PairBatches if card.task == TRANSLATION else Batches
    return kind(inputs, target, _at_once(batch_size, card), shuffle=False, seed=0)


def _part(split: Split, card: Card, shard: Shard | None) -> tuple[dict[str, np.ndarray], np.ndarray]:
    target = _target_of(split, card)
    if shard is None:
        return split.inputs, target
    rows = shard.part(len(split))
    return {name: values[rows] for name, values in split.inputs.items()}, target[rows]


def _target_of(split: Split, card: Card) -> np.ndarray:
    """As networks learn it: class indices, standardised numbers, or the next tokens."""
    if card.task in WRITTEN:
        return next_tokens(split.inputs)
    return TargetScale.of(card).standardised(split.target) if card.task in MEASURED else split.target


def _at_once(batch_size: int, card: Card) -> int:
    """So many examples of a batch for measuring that what comes out of the network is no more than memory can hold."""
    if card.task not in WRITTEN:
        return batch_size
    outputs = card.inputs["translation" if card.task == TRANSLATION else "tokens"]["shape"][0] * card.vocabulary
    return max(1, min(batch_size, MAX_OUTPUTS // outputs))


def _block_steps(settings: TrainerConfig) -> BlockSteps | None:
    if settings.precision != "32-true":
        return None
    return BlockSteps(settings.batch_size, settings.gradient_clip)


def _steps_a_block(settings: TrainerConfig, train: Split) -> int:
    # batches of translations are of different lengths, and long enough for Lightning's share not to count
    if _block_steps(settings) is None or "translation" in train.inputs:
        return 1
    row_bytes = sum(values[:1].nbytes for values in train.inputs.values())
    return max(1, min(MAX_STEPS_A_BLOCK, MAX_BLOCK_BYTES // (row_bytes * settings.batch_size)))


def _early_stopping(config: TrainConfig) -> list[Callback]:
    if config.trainer.patience is None:
        return []
    monitor = f"validation/{config.trainer.monitor}"
    return [EarlyStopping(monitor, mode=config.trainer.mode.name, patience=config.trainer.patience)]


def _trainer(config: TrainConfig, callbacks: list[Callback], folder: Path, device: int | None = None) -> Trainer:
    settings = config.trainer
    return Trainer(
        accelerator=settings.accelerator.name,
        # each worker has a trainer of its own, which knows of no other
        devices=1 if device is None else [device],
        precision=settings.precision,  # type: ignore[arg-type]
        max_epochs=settings.max_epochs,
        # a module that takes its steps by itself clips by itself
        gradient_clip_val=None if _block_steps(settings) else settings.gradient_clip,
        deterministic=settings.deterministic,
        callbacks=callbacks,
        default_root_dir=folder,
        # tracking, checkpoints and progress are ours: they must survive what Lightning's do not
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _checkpoint(folder: Path, name: str) -> str | None:
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    logger.info("%s  goes on from its last checkpoint", name)
    return str(path)
