"""Optimizers and learning-rate schedules from their configs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import nn, optim

from heldout.config.training import (
    AdamConfig,
    AdamWConfig,
    CosineConfig,
    OptimizerConfig,
    ScheduleConfig,
    SGDConfig,
)

# of a group of parameters: its rate as a share of that of the config
RATE_SHARE = "rate_share"


def rate_groups(groups: Sequence[list[nn.Parameter]], rate: float, decay: float) -> list[dict[str, Any]]:
    """Groups of an optimizer, the last of `groups` first, with the full rate; each one before it has `decay` of it.

    Discriminative fine-tuning (Howard and Ruder 2018, arXiv 1801.06146, section 3.2).
    """
    return [
        {"params": group, "lr": rate * decay**depth, RATE_SHARE: decay**depth}
        for depth, group in enumerate(reversed(groups))
    ]


def build_optimizer(
    config: OptimizerConfig, parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]]
) -> optim.Optimizer:
    """The optimizer of a config, over parameters or groups of them.

    Raises:
        TypeError: the config is of no known optimizer.
    """
    rate = config.learning_rate
    assert rate is not None, "a deep family always has a learning rate"
    if isinstance(config, AdamConfig):
        kind = optim.AdamW if isinstance(config, AdamWConfig) else optim.Adam
        first, second = config.betas
        return kind(parameters, lr=rate, betas=(first, second), weight_decay=config.weight_decay, fused=config.fused)
    if isinstance(config, SGDConfig):
        return optim.SGD(
            parameters,
            lr=rate,
            momentum=config.momentum,
            nesterov=config.nesterov,
            weight_decay=config.weight_decay,
        )
    raise TypeError(f"no optimizer for {type(config).__name__}")


def schedule_factor(config: ScheduleConfig, total_steps: int) -> Callable[[int], float]:
    """The factor on the learning rate at each step, from 0 to `total_steps`.

    Linear warm-up over the first `warmup` share of the steps; after it constant, or half a cosine down to `final`.
    """
    warmup_steps = round(config.warmup * total_steps)
    final = config.final if isinstance(config, CosineConfig) else None

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        if final is None:
            return 1.0
        progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
        return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2

    return factor


def build_schedule(
    config: ScheduleConfig, optimizer: optim.Optimizer, total_steps: int
) -> optim.lr_scheduler.LRScheduler | None:
    """The schedule of a config, to be stepped after every batch; None when the rate never changes."""
    if not isinstance(config, CosineConfig) and config.warmup == 0:
        return None
    return optim.lr_scheduler.LambdaLR(optimizer, schedule_factor(config, total_steps))
