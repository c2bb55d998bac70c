"""Layers against torch's own and against what they do to valid steps taken out one by one."""

from __future__ import annotations

import torch
from torch import nn

from heldout.models.layers import BatchNorm, global_mean, mask_padding, shortened, valid_steps

LENGTH = torch.tensor([1, 4, 6])


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_batch_norm_is_that_of_torch() -> None:
    ours, theirs = BatchNorm(4), nn.BatchNorm1d(4)
    for _ in range(3):
        x = 2 + 3 * noise(8, 4, 6)
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_batch_norm_takes_its_statistics_over_valid_steps() -> None:
    ours, theirs = BatchNorm(4), nn.BatchNorm1d(4)
    x = mask_padding(2 + 3 * noise(3, 4, 6), LENGTH)
    valid = valid_steps(LENGTH, 6)
    found = ours(x, LENGTH).transpose(1, 2)
    torch.testing.assert_close(found[valid], theirs(x.transpose(1, 2)[valid]))
    assert not found[~valid].any()
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_variance, theirs.running_var)


def test_batch_norm_leaves_padding_at_zero_in_evaluation() -> None:
    layer = BatchNorm(4).eval()
    nn.init.ones_(layer.bias)
    found = layer(noise(3, 4, 6), LENGTH)
    assert not found.transpose(1, 2)[~valid_steps(LENGTH, 6)].any()


def test_batch_norm_of_a_single_value_uses_the_running_statistics() -> None:
    layer = BatchNorm(4)
    layer(5 + noise(16, 4))
    x, before = noise(1, 4), layer.running_mean.clone()
    found = layer(x)
    torch.testing.assert_close(found, layer.eval()(x))
    torch.testing.assert_close(layer.running_mean, before, rtol=0, atol=0)


def test_global_mean_is_over_valid_steps() -> None:
    x = mask_padding(noise(3, 4, 6), LENGTH)
    expected = torch.stack([x[i, :, :n].mean(dim=1) for i, n in enumerate(LENGTH.tolist())])
    torch.testing.assert_close(global_mean(x, LENGTH), expected)
    torch.testing.assert_close(global_mean(noise(3, 4, 6, 2), None), noise(3, 4, 6, 2).mean(dim=(2, 3)))


def test_shortened_counts_the_outputs_centred_on_valid_steps() -> None:
    convolution = nn.Conv1d(1, 1, kernel_size=3, stride=2, padding=1, bias=False)
    nn.init.zeros_(convolution.weight)
    convolution.weight.data[0, 0, 1] = 1  # the centre alone: an output is valid when it copies a valid step
    copied = convolution(valid_steps(LENGTH, 6).float().unsqueeze(1)).sum(dim=(1, 2))
    found = shortened(LENGTH, 2, 3)
    assert found is not None
    assert found.tolist() == copied.tolist() == [1, 2, 3]
    assert shortened(None, 2, 3) is None
