"""What every deep family promises, with its default settings, on every kind of data it accepts.

A family is tested here as soon as it is registered.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.models.examples import CLASSES, EXAMPLES, KINDS, Example, with_numbers
from torch import nn

from heldout.config.model import DeepConfig, ModelConfig
from heldout.data.packing import NOTHING, next_tokens
from heldout.models import build, deep_families, load_weights, save_weights
from heldout.models.gan import GAN
from heldout.models.target_scale import TargetScale
from heldout.scoring import WRITTEN

MADE = {name: make() for name, make in KINDS.items()}
PAIRS = [
    pytest.param(family, example, id=f"{family.family}-{name}")
    for family in sorted(deep_families(), key=lambda family: str(family.family))
    for name, example in MADE.items()
    if example.card.modality in {modality.value for modality in family.accepts}
    and example.card.task in {task.value for task in family.solves}
]
OF_CLASSES = [pair for pair in PAIRS if pair.values[1].card.classes]
OF_NUMBERS = [pair for pair in PAIRS if pair.values[1].card.task not in (*WRITTEN, "generation")]
LENGTHS = [pair for pair in PAIRS if "length" in pair.values[1].card.inputs]

# one step leaves a recurrent network nothing to remember
SEVERAL_STEPS = [pair for pair in PAIRS if pair.values[1] is not MADE["one-pixel image"]]

every_pair = pytest.mark.parametrize(("family", "example"), PAIRS)
Family = type[ModelConfig]


def made(family: Family, example: Example, seed: int = 0, **settings: object) -> nn.Module:
    torch.manual_seed(seed)
    return build(family(**settings), example.card)


def loss_of(module: nn.Module, example: Example) -> torch.Tensor:
    if example.card.task in WRITTEN:
        logits, target = module(example.tensors()), torch.from_numpy(next_tokens(example.inputs))
        return nn.functional.cross_entropy(logits.transpose(1, 2), target, ignore_index=NOTHING)
    if example.card.task == "generation":
        # how far the critic scores real images above drawn ones
        assert isinstance(module, GAN)
        generated = module.generator(torch.randn(EXAMPLES, module.latent))
        return nn.functional.softplus(module.critic(generated) - module(example.tensors())).mean()
    if not example.card.classes:
        target = TargetScale.of(example.card).standardised(example.target)
        return nn.functional.mse_loss(module(example.tensors()).squeeze(1), torch.from_numpy(target))
    return nn.functional.cross_entropy(module(example.tensors()), example.labels())


@pytest.mark.parametrize(("family", "example"), OF_CLASSES)
def test_gives_a_finite_logit_for_each_class(family: Family, example: Example) -> None:
    module = made(family, example)
    for rows in (slice(None), slice(1)):
        logits = module(example.rows(rows))
        assert logits.shape == (EXAMPLES if rows == slice(None) else 1, len(CLASSES))
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()


@pytest.mark.parametrize(("family", "example"), OF_NUMBERS)
def test_gives_one_number_where_a_number_is_predicted(family: Family, example: Example) -> None:
    of_numbers = with_numbers(example) if example.card.classes else example
    numbers = made(family, of_numbers)(example.tensors())
    assert numbers.shape == (EXAMPLES, 1)
    assert numbers.isfinite().all()


@pytest.mark.parametrize(("family", "example"), SEVERAL_STEPS)
def test_gradients_reach_every_parameter(family: Family, example: Example) -> None:
    module = made(family, example)
    loss_of(module, example).backward()
    # a few units may be silent for every example; a whole parameter may not
    idle = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


@every_pair
def test_a_file_brings_back_the_same_model(family: Family, example: Example, tmp_path: Path) -> None:
    trained = made(family, example)
    loss_of(trained, example)  # moves running statistics away from where they start
    save_weights(trained, tmp_path / "weights.safetensors")
    other = made(family, example, seed=1)
    load_weights(other, tmp_path / "weights.safetensors")
    with torch.inference_mode():
        expected, found = (module.eval()(example.tensors()) for module in (trained, other))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@every_pair
def test_evaluation_is_deterministic_and_sees_each_example_alone(family: Family, example: Example) -> None:
    module = made(family, example, dropout=0.5)
    loss_of(module, example)
    module.eval()
    with torch.inference_mode():
        together = module(example.tensors())
        torch.testing.assert_close(module(example.tensors()), together, rtol=0, atol=0)
        alone = torch.cat([module(example.rows(slice(i, i + 1))) for i in range(EXAMPLES)])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("family", "example"), LENGTHS)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_padding_has_no_influence(family: Family, example: Example, training: bool) -> None:
    length = example.tensors()["length"]
    (name,) = set(example.inputs) - {"length"}
    values = example.tensors()[name]
    padding = torch.arange(values.shape[-1]) >= length.reshape(-1, *[1] * (values.ndim - 1))
    loud = torch.where(padding, torch.full_like(values, torch.nan if values.is_floating_point() else 3), values)
    quiet, noisy = (made(family, example).train(training)({name: one, "length": length}) for one in (values, loud))
    torch.testing.assert_close(noisy, quiet, rtol=0, atol=0)


@every_pair
def test_overfits_one_batch(family: Family, example: Example) -> None:
    config = family()
    assert isinstance(config, DeepConfig)
    module = made(family, example)
    optimizer = torch.optim.Adam(module.parameters(), lr=config.learning_rate, fused=True)
    for _ in range(300):
        loss = loss_of(module, example)
        if loss < 0.1:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1  # log 3 = 1.1 at chance; of numbers 1


@every_pair
def test_the_seed_decides_everything(family: Family, example: Example) -> None:
    def trained(seed: int) -> torch.Tensor:
        module = made(family, example, seed, dropout=0.5)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            loss_of(module, example).backward()
            optimizer.step()
        return torch.cat([parameter.flatten() for parameter in module.parameters()])

    assert torch.equal(trained(0), trained(0))
    assert not torch.equal(trained(0), trained(1))
