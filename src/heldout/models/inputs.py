"""Input layers: from what a batch brings to standardised floats.

Each owns what it needs of the card as buffers, so that a model file is complete: it can read raw inputs
anywhere without the card.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from heldout.models.layers import mask_padding, valid_steps

if TYPE_CHECKING:
    from heldout.data.card import Card

Inputs = dict[str, Tensor]


def _affine(card: Card, name: str, unit: float = 1.0) -> tuple[Tensor, Tensor]:
    """`(shift, scale)` float `[features]` with `shift + scale * x` of mean 0 and deviation 1 over train.

    `unit` is what one unit of `x` is in the card's statistics.
    """
    mean = torch.tensor(card.statistics[name]["mean"], dtype=torch.float64)
    std = torch.tensor(card.statistics[name]["std"], dtype=torch.float64)
    return (-mean / std).float(), (unit / std).float()


class GridInput(nn.Module):
    """Images or series, standardised by channel.

    Returns float `[batch, channels, *sizes]` and, for series of unequal length, the int64 lengths `[batch]`
    (else None); padded steps are zero whatever the input holds there.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, card: Card) -> None:
        super().__init__()
        self.channels, *self.sizes = card.inputs["x"]["shape"]
        whole = card.inputs["x"]["dtype"] == "uint8"
        shift, scale = _affine(card, "x", unit=1 / 255 if whole else 1.0)
        axes = [1] * len(self.sizes)
        self.register_buffer("shift", shift.view(-1, *axes))
        self.register_buffer("scale", scale.view(-1, *axes))

    @property
    def features(self) -> int:
        """Values of one example."""
        return self.channels * math.prod(self.sizes)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor | None]:
        x = torch.addcmul(self.shift, inputs["x"].to(self.scale.dtype), self.scale)
        if "length" not in inputs:
            return x, None
        length = inputs["length"].long()
        return mask_padding(x, length), length


class NumericInput(nn.Module):
    """Numeric columns, standardised; returns them with 0 for a missing value, and the missing ones marked by 1.

    Both float `[batch, columns]`.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, card: Card) -> None:
        super().__init__()
        self.columns = card.inputs["numeric"]["shape"][0]
        shift, scale = _affine(card, "numeric")
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        x = torch.addcmul(self.shift, inputs["numeric"], self.scale)
        return x.nan_to_num(0.0), x.isnan().to(x.dtype)


class CategoricalInput(nn.Module):
    """A learned vector for each category of each column: float `[batch, columns, width]`.

    One table serves all columns, one lookup a batch. A missing or unseen category starts as the zero vector,
    and stays it when train has none.
    """

    first: Tensor

    def __init__(self, card: Card, width: int) -> None:
        super().__init__()
        # code 0 is a missing or unseen category
        sizes = torch.tensor([1 + len(column["categories"]) for column in card.categorical_columns])
        self.columns = len(sizes)
        self.register_buffer("first", sizes.cumsum(0) - sizes)
        self.embedding = nn.Embedding(int(sizes.sum()), width)
        with torch.no_grad():
            self.embedding.weight[self.first] = 0.0

    def forward(self, inputs: Inputs) -> Tensor:
        vectors: Tensor = self.embedding(inputs["categorical"] + self.first)
        return vectors


class TableInput(nn.Module):
    """A table's row as one vector `[batch, features]`: numeric values, their missing marks, embedded categories.

    A mark is a learned number of its column, which starts at zero and stays there when train misses nothing, so that
    a value that is first missing later does not meet untrained weights.
    """

    def __init__(self, card: Card, embedding: int) -> None:
        super().__init__()
        self.numeric = NumericInput(card) if "numeric" in card.inputs else None
        self.categorical = CategoricalInput(card, embedding) if "categorical" in card.inputs else None
        self.features = 0
        if self.numeric is not None:
            self.missing = nn.Parameter(torch.zeros(self.numeric.columns))
            self.features += 2 * self.numeric.columns
        if self.categorical is not None:
            self.features += self.categorical.columns * embedding

    def forward(self, inputs: Inputs) -> Tensor:
        parts: list[Tensor] = []
        if self.numeric is not None:
            x, missing = self.numeric(inputs)
            parts += [x, missing * self.missing]
        if self.categorical is not None:
            parts.append(self.categorical(inputs).flatten(1))
        return torch.cat(parts, dim=1)


class TokenInput(nn.Module):
    """A learned vector for each token of a text: float `[batch, tokens, width]` and the int64 lengths `[batch]`.

    What stands behind the end of a text has the zero vector.
    """

    def __init__(self, card: Card, width: int) -> None:
        super().__init__()
        self.steps = card.inputs["tokens"]["shape"][0]
        self.embedding = nn.Embedding(card.vocabulary, width)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        length = inputs["length"].long()
        valid = valid_steps(length, self.steps)
        # padding may hold anything
        vectors: Tensor = self.embedding(inputs["tokens"].masked_fill(~valid, 0))
        return vectors * valid.unsqueeze(2), length


class MeanTokenInput(nn.Module):
    """A text as the mean of the vectors of its tokens, `[batch, features]`."""

    def __init__(self, card: Card, width: int) -> None:
        super().__init__()
        self.tokens = TokenInput(card, width)
        self.features = width

    def forward(self, inputs: Inputs) -> Tensor:
        vectors, length = self.tokens(inputs)
        mean: Tensor = vectors.sum(dim=1) / length.unsqueeze(1)
        return mean


class FlatGridInput(nn.Module):
    """Images or series as one vector `[batch, features]`."""

    def __init__(self, card: Card) -> None:
        super().__init__()
        self.grid = GridInput(card)
        self.features = self.grid.features

    def forward(self, inputs: Inputs) -> Tensor:
        x: Tensor = self.grid(inputs)[0]
        return x.flatten(1)


def flat_input(card: Card, embedding: int) -> TableInput | FlatGridInput | MeanTokenInput:
    """The input layer that gives any modality as one vector `[batch, features]`; `.features` is its size."""
    if card.modality == "text":
        return MeanTokenInput(card, embedding)
    return TableInput(card, embedding) if card.modality == "table" else FlatGridInput(card)
