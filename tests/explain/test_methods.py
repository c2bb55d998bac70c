"""Attributions against networks whose right answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.models.examples import KINDS, Example
from torch import nn

from heldout.config.explain import ExplainConfig, Method
from heldout.config.model import ModelConfig, TransformerConfig
from heldout.explain.features import Features
from heldout.explain.methods import applies, attention_rollout, attribute, integrated_gradients, occlusion, rollout
from heldout.explain.sanity import random_networks, rank_correlation
from heldout.models import build, deep_families
from heldout.models.inputs import GridInput, Inputs

MADE = {name: make() for name, make in KINDS.items()}
SETTINGS = ExplainConfig(steps=8)
PAIRS = [
    pytest.param(family, MADE[name], id=f"{family.family}-{name}")
    for family in sorted(deep_families(), key=lambda family: str(family.family))
    for name in ("odd colour image", "unequal series", "table", "text")
    if MADE[name].card.modality in {modality.value for modality in family.accepts}
    and MADE[name].card.task in {task.value for task in family.solves}
]


class Planted(nn.Module):
    """Answers by one step of the first channel of a standardised series, and by nothing else."""

    STEP = 5

    def __init__(self, example: Example) -> None:
        super().__init__()
        self.input = GridInput(example.card)

    def forward(self, inputs: Inputs) -> torch.Tensor:
        x, _ = self.input(inputs)
        value = x[:, 0, self.STEP]
        return torch.stack([2 * value, -value, torch.zeros_like(value)], dim=1)


@pytest.fixture
def planted() -> Features:
    example = MADE["series"]
    return Features(Planted(example), example.rows(slice(1)))


def test_integrated_gradients_find_the_planted_step_and_its_share(planted: Features) -> None:
    found = integrated_gradients(planted, target=0, steps=8)["x"]
    expected = np.zeros_like(found)
    expected[0, Planted.STEP] = 2 * float(planted.values[0][0, 0, Planted.STEP])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_occlusion_finds_it_too(planted: Features) -> None:
    found = occlusion(planted, target=0, window=1)["x"]
    # a window hides all channels of a step
    assert set(np.flatnonzero(np.abs(found).sum(axis=0) > 1e-6)) == {Planted.STEP}
    assert found[0, Planted.STEP] == pytest.approx(2 * float(planted.values[0][0, 0, Planted.STEP]), rel=1e-4)


@pytest.mark.parametrize(("family", "example"), PAIRS)
def test_integrated_gradients_add_up_to_the_change_of_the_logit(family: type[ModelConfig], example: Example) -> None:
    torch.manual_seed(0)
    features = Features(build(family(), example.card), example.rows(slice(1)))
    with torch.no_grad():
        start = features(*(torch.zeros_like(value) for value in features.values))
    found = integrated_gradients(features, target=1, steps=200)
    total = sum(float(of.sum()) for of in found.values())
    assert total == pytest.approx(float(features.logits[0, 1] - start[0, 1]), abs=0.02)


@pytest.mark.parametrize(("family", "example"), PAIRS)
def test_every_method_gives_a_value_for_each_part_of_the_input(family: type[ModelConfig], example: Example) -> None:
    torch.manual_seed(0)
    network = build(family(), example.card)
    row = example.rows(slice(1, 2))
    shapes = {name: tuple(of.shape[1:]) for name, of in row.items() if name != "length"}
    if example.card.modality == "image":
        shapes["x"] = shapes["x"][1:]
    for method in Method:
        if applies(method, network):
            found = attribute(method, network, row, 0, SETTINGS)
            assert {name: of.shape for name, of in found.items()} == shapes, method
            assert all(np.isfinite(of).all() for of in found.values()), method


def test_rollout_multiplies_attentions_mixed_with_the_identity() -> None:
    first = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    second = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    expected = torch.tensor([[1.0, 0.0], [0.5, 0.5]]) @ torch.tensor([[0.5, 0.5], [0.25, 0.75]])
    torch.testing.assert_close(rollout([first, second]), expected)


def test_attention_to_padding_is_none() -> None:
    example = MADE["text"]
    network = build(TransformerConfig(), example.card)
    (found,) = attention_rollout(network, example.rows(slice(0, 1))).values()  # type: ignore[arg-type]
    assert example.inputs["length"][0] == 1
    assert found[0] > 0
    assert not found[1:].any()


def test_random_weights_change_attributions_that_depend_on_weights_and_no_others() -> None:
    example = MADE["series"]
    row = example.rows(slice(1))
    networks = random_networks(lambda: build(TransformerConfig(patch=1), example.card), seed=0)
    gradients = [attribute(Method.integrated_gradients, one, row, 0, SETTINGS) for one in networks]
    correlations = [rank_correlation(gradients[0], other) for other in gradients[1:]]
    # not near 0: what is far from the mean of train has large attributions whatever the weights
    assert max(abs(value) for value in correlations if value is not None) < 0.9
    # the input itself, as an edge detector would show it, is the same whatever the weights
    shown = {"x": example.inputs["x"][0]}
    assert rank_correlation(shown, shown) == pytest.approx(1.0)


def test_padding_has_no_part_in_the_correlation() -> None:
    one = {"x": np.array([[1.0, 2.0, 3.0, 9.0]])}
    other = {"x": np.array([[1.0, 2.0, 3.0, 0.0]])}
    assert rank_correlation(one, other, valid=3) == pytest.approx(1.0)
    assert rank_correlation(one, {"x": np.ones((1, 4))}) is None
