"""Fit time of the MNIST-1D CNN: Heldout's `train` against plain PyTorch loops of the same steps.

    python benchmarks/fit_loop.py [--epochs 60] [--rounds 5]

All sides train the same network from the same seed on the same batches (3,200 examples by 100), in one process and in
turn, round by round; what is printed are ratios within a round. The peers are loops as one writes them by hand:

  plain          default Adam; the steps, nothing else
  plain fused    Adam(fused=True), which Heldout uses too; the steps, nothing else
  plain measured as plain fused, and after each epoch loss and accuracy of the same fixed parts of train and validation

Heldout's side is everything `train` does between the first step and the last: Lightning, history, kept weights,
checkpoints, early ends, metrics sent to MLflow on SQLite from a thread.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.stages import TrainConfig
from heldout.data.batches import Batches
from heldout.data.store import Split, read_split
from heldout.data.subset import fixed_subset
from heldout.models import build
from heldout.training.prepared import Prepared, find_or_prepare
from heldout.training.train import train

SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    overrides = [
        "experiment=mnist1d_paper",
        "model=cnn_paper",
        f"trainer.max_epochs={options.epochs}",
        "out=out",
        "seeds=[0]",
    ]
    with hydra_session():
        config = to_stage(compose_stage("train", overrides))

    os.chdir(tempfile.mkdtemp(prefix="heldout-benchmark-"))
    prepared = find_or_prepare(config.data, None)
    sides: dict[str, Callable[[], float]] = {
        "heldout": lambda: heldout(config),
        "plain": lambda: plain(config, prepared, fused=False, measured=False),
        "plain fused": lambda: plain(config, prepared, fused=True, measured=False),
        "plain measured": lambda: plain(config, prepared, fused=True, measured=True),
    }
    for side in sides.values():
        side()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, side in sides.items():
            seconds[name].append(side())
    report(seconds)


def heldout(config: TrainConfig) -> float:
    (record,) = train(config)
    return float(record.info["fit_seconds"])


def plain(config: TrainConfig, prepared: Prepared, fused: bool, measured: bool) -> float:
    torch.manual_seed(SEED)
    train_split, validation = (read_split(prepared.folder, name) for name in ("train", "validation"))
    rows = fixed_subset(len(train_split), len(validation))
    parts = [
        Batches(
            {k: v[rows] for k, v in train_split.inputs.items()}, train_split.target[rows], 1000, shuffle=False, seed=0
        ),
        _batches(validation, 1000, shuffle=False),
    ]
    network = build(config.model, prepared.card)
    optimizer = torch.optim.Adam(network.parameters(), lr=config.optimizer.learning_rate or 0.0, fused=fused or None)
    batches = _batches(train_split, config.trainer.batch_size, shuffle=True)
    started = time.monotonic()
    for epoch in range(config.trainer.max_epochs):
        batches.set_epoch(epoch)
        for batch in batches:
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(batch["inputs"]), batch["target"])
            loss.backward()
            optimizer.step()
        if measured:
            for part in parts:
                _measure(network, part)
    return time.monotonic() - started


def _batches(split: Split, size: int, shuffle: bool) -> Batches:
    return Batches(split.inputs, split.target, size, shuffle=shuffle, seed=SEED)


@torch.inference_mode()
def _measure(network: nn.Module, batches: Batches) -> tuple[float, float]:
    network.eval()
    loss, correct, count = 0.0, 0, 0
    for batch in batches:
        logits = network(batch["inputs"])
        loss += float(functional.cross_entropy(logits, batch["target"], reduction="sum"))
        correct += int((logits.argmax(1) == batch["target"]).sum())
        count += len(batch["target"])
    network.train()
    return loss / count, correct / count


def report(seconds: dict[str, list[float]]) -> None:
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {len(seconds['heldout'])} rounds")
    for name, values in seconds.items():
        ratios = [ours / theirs for ours, theirs in zip(seconds["heldout"], values, strict=True)]
        print(
            f"{name:15s} median {statistics.median(values):6.2f} s   heldout / {name}: median "
            f"{statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}"
        )


if __name__ == "__main__":
    main()
