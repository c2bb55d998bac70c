"""Fits a network with Lightning."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, Trainer, seed_everything
from pytorch_lightning.callbacks import EarlyStopping
from torch import nn

from heldout.config.model import DeepConfig
from heldout.config.stages import TrainConfig
from heldout.config.training import ClassifyConfig, TrainerConfig
from heldout.data.batches import Batches
from heldout.data.card import Card
from heldout.data.store import Split
from heldout.models import build, load_weights, save_weights
from heldout.tasks.classify import BlockSteps, Classify
from heldout.training import stop
from heldout.training.callbacks import AsConfigured, Checkpoints, FiniteLoss, History, KeepWeights, Report, StopOnSignal
from heldout.training.fitted import FitInputs, Fitted, LogMetrics, ReportEpoch

logger = logging.getLogger(__name__)
# progress is said by our own callbacks; importing Lightning has set its level to INFO
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)

# more would save little, and make a signal wait
MAX_STEPS_A_BLOCK = 16
MAX_BLOCK_BYTES = 1 << 26
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
) -> Fitted:
    """Fits the network of `config` once; goes on from the checkpoint in `folder` if there is one.

    Args:
        report: told of each epoch; what it raises ends the fit.

    Raises:
        Diverged: the loss is no longer a number.
        Interrupted: a signal arrived; `folder` holds the checkpoint to resume from.
    """
    _prepare_torch(config, seed)
    assert isinstance(config.model, DeepConfig)
    assert isinstance(config.task, ClassifyConfig)
    network = build(config.model, data.card)
    train, measured = _loaders(config, data, seed)
    total_steps = config.trainer.max_epochs * math.ceil(len(data.train) / config.trainer.batch_size)
    module = Classify(
        network,
        len(data.card.classes),
        config.task,
        config.optimizer,
        config.schedule,
        total_steps,
        _block_steps(config.trainer),
        seed,
    )
    history = History(log, name)
    kept = KeepWeights(config.trainer.keep, config.trainer.monitor, config.trainer.mode)
    checkpoints = Checkpoints(folder / CHECKPOINT, config.trainer.checkpoint_seconds)
    callbacks: list[Callback] = [FiniteLoss(), history, kept, *_early_stopping(config), checkpoints, StopOnSignal()]
    if report is not None:
        callbacks += [AsConfigured(config.optimizer), Report(report, kept, CHECKPOINT)]
    trainer = _trainer(config, callbacks, folder)
    with _no_search_for_gpus(), warnings.catch_warnings():
        # loaders index memory: workers would only copy; the log interval concerns a logger we do not use
        warnings.filterwarnings("ignore", ".*(does not have many workers|log_every_n_steps|TF32|`isinstance).*")
        # said by FiniteLoss, with step and cause
        warnings.filterwarnings("ignore", "Encountered `nan` values")
        try:
            trainer.fit(module, train, measured, ckpt_path=_checkpoint(folder, name), weights_only=True)
        except SystemExit:
            # what Lightning makes of a SIGTERM during an evaluation: the end of the process, with exit code 0
            stop.obey()
            raise
    seconds = history.seconds
    network.load_state_dict(kept.weights)
    save_weights(network, folder / WEIGHTS)
    batch_size = config.trainer.eval_batch_size
    splits = {"train": data.train_subset, "validation": data.validation}
    return Fitted(
        history=history.rows,
        probabilities={split: predict(network, of, batch_size) for split, of in splits.items()},
        kept_epoch=kept.epoch,
        epochs=int(history.rows[-1]["epoch"]),
        steps=module.steps_done,
        parameters=sum(p.numel() for p in network.parameters()),
        seconds=seconds,
        model_file=folder / WEIGHTS,
    )


def load_network(config: DeepConfig, card: Card, weights: Path) -> nn.Module:
    """The trained network of a record, on the CPU."""
    network = build(config, card)
    load_weights(network, weights)
    return network


@torch.inference_mode()
def predict(network: nn.Module, split: Split, batch_size: int) -> np.ndarray:
    """Class probabilities float32 `[examples, classes]`, in the order of the split, in evaluation mode."""
    network.eval()
    device = next(network.parameters()).device
    rows = []
    for batch in Batches(split.inputs, split.target, batch_size, shuffle=False, seed=0):
        inputs = {name: tensor.to(device) for name, tensor in batch["inputs"].items()}
        rows.append(torch.softmax(network(inputs).float(), dim=1).cpu())
    return np.asarray(torch.cat(rows).numpy())


def _prepare_torch(config: TrainConfig, seed: int) -> None:
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    seed_everything(seed, verbose=False)


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


def _loaders(config: TrainConfig, data: FitInputs, seed: int) -> tuple[Any, list[Any]]:
    size = config.trainer.eval_batch_size
    block = config.trainer.batch_size * _steps_a_block(config.trainer, data.train)
    train = Batches(data.train.inputs, data.train.target, block, shuffle=True, seed=seed)
    # in the order of heldout.tasks.classify.MEASURED_SPLITS
    measured = [
        Batches(split.inputs, split.target, size, shuffle=False, seed=0)
        for split in (data.train_subset, data.validation)
    ]
    return train, measured


def _block_steps(settings: TrainerConfig) -> BlockSteps | None:
    if settings.devices > 1 or settings.precision != "32-true":
        return None
    return BlockSteps(settings.batch_size, settings.gradient_clip)


def _steps_a_block(settings: TrainerConfig, train: Split) -> int:
    if _block_steps(settings) is None:
        return 1
    row_bytes = sum(values[:1].nbytes for values in train.inputs.values())
    return max(1, min(MAX_STEPS_A_BLOCK, MAX_BLOCK_BYTES // (row_bytes * settings.batch_size)))


def _early_stopping(config: TrainConfig) -> list[Callback]:
    if config.trainer.patience is None:
        return []
    monitor = f"validation/{config.trainer.monitor}"
    return [EarlyStopping(monitor, mode=config.trainer.mode.name, patience=config.trainer.patience)]


def _trainer(config: TrainConfig, callbacks: list[Callback], folder: Path) -> Trainer:
    settings = config.trainer
    return Trainer(
        accelerator=settings.accelerator.name,
        devices=settings.devices,
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
