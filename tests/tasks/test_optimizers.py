"""Optimizers and schedules from their configs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from heldout.config.training import (
    AdamConfig,
    AdamWConfig,
    ConstantConfig,
    CosineConfig,
    OptimizerConfig,
    SGDConfig,
)
from heldout.tasks.optimizers import build_optimizer, build_schedule, schedule_factor


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (AdamConfig(learning_rate=0.1), torch.optim.Adam),
        (AdamWConfig(learning_rate=0.1, weight_decay=0.3), torch.optim.AdamW),
        (SGDConfig(learning_rate=0.1, momentum=0.5), torch.optim.SGD),
    ],
)
def test_the_optimizer_has_what_the_config_says(config: OptimizerConfig, kind: type) -> None:
    optimizer = build_optimizer(config, nn.Linear(2, 2).parameters())
    assert type(optimizer) is kind
    assert optimizer.defaults["lr"] == 0.1
    assert optimizer.defaults["weight_decay"] == config.weight_decay
    if isinstance(config, AdamConfig):
        assert optimizer.defaults["fused"] is True
    if isinstance(config, SGDConfig):
        assert optimizer.defaults["momentum"] == 0.5


def test_an_optimizer_nobody_knows_is_refused() -> None:
    with pytest.raises(TypeError, match="OptimizerConfig"):
        build_optimizer(OptimizerConfig(name="own", learning_rate=0.1), nn.Linear(2, 2).parameters())


def test_constant_without_warmup_needs_no_schedule() -> None:
    optimizer = build_optimizer(AdamConfig(learning_rate=0.1), nn.Linear(2, 2).parameters())
    assert build_schedule(ConstantConfig(), optimizer, 100) is None
    assert build_schedule(ConstantConfig(warmup=0.1), optimizer, 100) is not None


def test_warmup_rises_linearly_and_then_stays() -> None:
    factor = schedule_factor(ConstantConfig(warmup=0.1), 100)
    assert [factor(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert factor(10) == factor(99) == 1.0


def test_cosine_ends_at_its_final_share() -> None:
    factor = schedule_factor(CosineConfig(warmup=0.0, final=0.1), 100)
    assert factor(0) == pytest.approx(1.0)
    # half way the cosine is at its middle: Loshchilov and Hutter 2017, equation 5
    assert factor(50) == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 2)) / 2)
    assert factor(100) == factor(1000) == pytest.approx(0.1)
