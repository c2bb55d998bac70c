"""Looks inside a network in training: planted truths, and that looking changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.examples import KINDS
from torch import nn

from heldout.config.model import CNNConfig, MLPConfig, TransformerConfig
from heldout.config.stages import TrainConfig
from heldout.config.training import InsideConfig
from heldout.data.batches import Batches
from heldout.inside import read_inside
from heldout.models import build
from heldout.training.deep import fit_deep
from heldout.training.fitted import Fitted
from heldout.training.inputs import fit_inputs
from heldout.training.inside import LastStep, is_looked_at, look
from heldout.training.prepared import find_or_prepare
from heldout.training.train import train
from heldout.training.trial import Trial

Compose = Callable[..., TrainConfig]


def batches(kind: str) -> Batches:
    example = KINDS[kind]()
    return Batches(example.inputs, example.target, 7, shuffle=False, seed=0)


def fit(config: TrainConfig, folder: Path) -> Fitted:
    folder.mkdir()
    data = fit_inputs(config, find_or_prepare(config.data, None), None, 0)
    return fit_deep(config, data, 0, folder, lambda metrics, step: None, "a run")


def test_planted_dead_units_are_counted() -> None:
    torch.manual_seed(0)
    network = build(MLPConfig(hidden=[8, 8]), KINDS["table"]().card)
    with torch.no_grad():
        network.layers[0].bias[:3] = -1e6
        network.layers[2].bias[:8] = -1e6
    _, dead = look(network, batches("table"))
    assert dead == {"layers.0": pytest.approx(3 / 8), "layers.2": 1.0}


def test_a_channel_that_is_alive_at_one_position_of_one_example_is_not_dead() -> None:
    torch.manual_seed(0)
    network = build(CNNConfig(width=4, depth=1, kernel_sizes=[1], stride=1), KINDS["series"]().card)
    x = torch.from_numpy(KINDS["series"]().inputs["x"].copy())
    values = torch.addcmul(network.input.shift, x, network.input.scale)
    with torch.no_grad():
        network.convolutions[0].weight.zero_()
        # the first channel is above zero where the data are at their highest, and nowhere else
        network.convolutions[0].weight[0, 0] = 1.0
        network.convolutions[0].bias[:] = torch.tensor([-float(values[:, 0].max()) + 1e-3, -1.0, 0.5, -0.5])
    activations, dead = look(network, batches("series"))
    assert dead == {"convolutions.0": 0.5}
    expected = network.convolutions[0](values).detach().square().mean().sqrt()
    assert activations["convolutions.0"] == pytest.approx(float(expected), rel=1e-4)


def test_the_network_is_left_in_its_mode_and_without_hooks() -> None:
    network = build(TransformerConfig(), KINDS["text"]().card).train()
    activations, dead = look(network, batches("text"))
    assert network.training
    assert all(not module._forward_hooks for module in network.modules())
    assert {"blocks.0.self_attn", "blocks.1.linear2", "classifier"} <= set(activations)
    assert dead == {}  # GELU is never exactly zero


def test_norms_are_those_of_the_last_step() -> None:
    torch.manual_seed(0)
    layers = {"free": nn.Linear(3, 2), "fixed": nn.Linear(2, 2)}
    network = nn.Sequential(*layers.values())
    layers["fixed"].requires_grad_(False)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    step = LastStep(optimizer, layers, steps=3)
    for _ in range(3):
        optimizer.zero_grad()
        network(torch.ones(4, 3)).square().sum().backward()
        before = [p.detach().clone() for p in layers["free"].parameters()]
        optimizer.step()
    step.close()
    gradient = torch.cat([p.grad.flatten() for p in layers["free"].parameters() if p.grad is not None])
    norms = step.norms["free"]
    assert norms["gradient"] == pytest.approx(float(gradient.norm()))
    assert norms["update"] == pytest.approx(0.1 * float(gradient.norm()))
    assert norms["weight"] == pytest.approx(float(torch.cat([p.flatten() for p in before]).norm()))
    assert step.norms["fixed"]["gradient"] is None
    assert step.norms["fixed"]["update"] == 0.0
    assert not optimizer._optimizer_step_post_hooks


@pytest.mark.parametrize(
    ("epochs", "looks", "expected"),
    [(5, 10, [1, 2, 3, 4, 5]), (20, 4, [1, 5, 10, 15, 20]), (7, 0, []), (3, 1, [1, 3])],
)
def test_looks_are_spread_over_the_epochs(epochs: int, looks: int, expected: list[int]) -> None:
    assert [epoch for epoch in range(1, epochs + 1) if is_looked_at(epoch, epochs, looks)] == expected


@pytest.mark.parametrize("overrides", [["model=mlp", "model.dropout=0.3"], ["model=resnet", "model.depth=1"]])
def test_looking_changes_nothing(train_config: Compose, tmp_path: Path, overrides: list[str]) -> None:
    config = train_config("data=digits", "data.limit=300", "trainer.max_epochs=3", *overrides)
    assert config.trainer.inside.looks > 0
    looked = fit(config, tmp_path / "looked")
    blind = fit(replace(config, trainer=replace(config.trainer, inside=InsideConfig(looks=0))), tmp_path / "blind")
    assert blind.inside is None
    for ours, theirs in zip(looked.history, blind.history, strict=True):
        assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}
    ours, theirs = (fitted.predictions["validation"].probabilities for fitted in (looked, blind))
    np.testing.assert_array_equal(ours, theirs)


def test_a_record_holds_what_was_seen(train_config: Compose) -> None:
    (record,) = train(train_config("data=digits", "data.limit=300", "model=cnn", "trainer.max_epochs=3"))
    inside = read_inside(record.path)
    assert inside is not None
    assert inside.looks.epoch == [1, 2, 3]
    assert inside.cost.parameters == inside.cost.trainable == record.info["parameters"]
    assert inside.cost.peak_memory >= inside.cost.memory_at_start * 0.9 > 0
    assert inside.cost.train_examples_per_second > 0
    assert inside.cost.predict_examples_per_second > 0
    with_parameters = {layer.name for layer in inside.layers if layer.parameters}
    for quantity in ("activation", "gradient", "weight", "update"):
        values = inside.looks.values[quantity]
        assert set(values) == with_parameters
        assert all(value is not None and value > 0 for of in values.values() for value in of), quantity
    dead = {name for name, of in inside.looks.values["dead"].items() if of[0] is not None}
    assert dead == {"convolutions.0", "convolutions.1", "convolutions.2"}


def test_a_trial_of_a_sweep_does_not_pay_for_it(train_config: Compose) -> None:
    trial = Trial(0, "a sweep", {}, lambda epoch, values, save: None, RuntimeError)
    config = train_config("data=digits", "data.limit=300", "model=mlp", "trainer.max_epochs=1")
    (record,) = train(config, trial)
    assert read_inside(record.path) is None
