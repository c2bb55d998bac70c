"""Input layers: standardised by the card, missing values and padding out of the way."""

from __future__ import annotations

import torch
from tests.models.examples import EXAMPLES, image, series, table

from heldout.models.inputs import CategoricalInput, GridInput, NumericInput, TableInput, flat_input


def test_images_are_standardised_by_channel() -> None:
    example = image(3, 8, 8)
    x, length = GridInput(example.card)(example.tensors())
    assert length is None
    assert x.dtype == torch.float32
    torch.testing.assert_close(x.mean(dim=(0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(x.std(dim=(0, 2, 3), correction=0), torch.ones(3), rtol=1e-4, atol=0)


def test_series_are_standardised_over_valid_steps() -> None:
    example = series(2, 12, unequal=True)
    x, length = GridInput(example.card)(example.tensors())
    assert length.dtype == torch.int64
    valid = torch.arange(12) < length[:, None]
    assert not x.transpose(1, 2)[~valid].any()
    steps = x.transpose(1, 2)[valid]
    torch.testing.assert_close(steps.mean(dim=0), torch.zeros(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(steps.std(dim=0, correction=0), torch.ones(2), rtol=1e-4, atol=0)


def test_missing_numbers_are_the_mean_and_are_marked() -> None:
    example = table(4, 0)
    raw = example.tensors()["numeric"]
    x, missing = NumericInput(example.card)(example.tensors())
    assert torch.equal(missing.bool(), raw.isnan())
    assert raw.isnan().any()
    assert not x[raw.isnan()].any()
    for column in range(4):
        known = x[~raw[:, column].isnan(), column]
        torch.testing.assert_close(known.mean(), torch.tensor(0.0), rtol=0, atol=1e-5)
        torch.testing.assert_close(known.std(correction=0), torch.tensor(1.0), rtol=1e-4, atol=0)


def test_categories_of_different_columns_have_vectors_of_their_own() -> None:
    example = table(0, 3)
    layer = CategoricalInput(example.card, width=5)
    codes = torch.tensor([[0, 0, 0], [1, 1, 1], [2, 2, 2]], dtype=torch.int32)
    vectors = layer({"categorical": codes})
    assert vectors.shape == (3, 3, 5)
    assert not vectors[0].any(), "a missing category starts without influence"
    assert len(torch.unique(vectors[1:].flatten(0, 1), dim=0)) == 6


def test_a_row_holds_numbers_marks_and_vectors() -> None:
    example = table(4, 2)
    layer = TableInput(example.card, embedding=5)
    assert layer(example.tensors()).shape == (EXAMPLES, layer.features) == (EXAMPLES, 4 + 4 + 2 * 5)


def test_a_first_missing_value_after_training_counts_as_the_mean() -> None:
    example = table(4, 0)
    layer = TableInput(example.card, embedding=5)
    mean = torch.tensor([example.card.statistics["numeric"]["mean"]])
    found = layer({"numeric": torch.full((1, 4), torch.nan)})
    torch.testing.assert_close(found, layer({"numeric": mean}), rtol=0, atol=1e-5)


def test_grids_are_flattened() -> None:
    example = image(3, 8, 6)
    layer = flat_input(example.card, embedding=5)
    assert layer(example.tensors()).shape == (EXAMPLES, layer.features) == (EXAMPLES, 3 * 8 * 6)
