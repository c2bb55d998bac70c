"""Language modelling: cross-entropy of the next token."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MetricCollection
from torchmetrics.aggregation import SumMetric

from heldout.config.training import LanguageConfig
from heldout.data.card import Card
from heldout.data.packing import NOTHING
from heldout.data.token_sums import TokenTable
from heldout.tasks.supervised import Supervised

# nats of which the exponential is a number still
MOST = 700.0


def surprise(logits: Tensor, target: Tensor) -> Tensor:
    """-ln of the probability of each target [batch, places], from logits [batch, places, vocabulary]."""
    return functional.cross_entropy(logits.transpose(1, 2).float(), target, ignore_index=NOTHING, reduction="none")


class Language(Supervised):
    """Trains a network to give the next token; logits `[batch, places, vocabulary]`, targets `[batch, places]`."""

    token_bytes: Tensor
    token_surprise: Tensor

    def __init__(self, network: nn.Module, card: Card, task: LanguageConfig, **options: Any) -> None:
        super().__init__(network, **options)
        table = TokenTable.of(card)
        for name, values in (("token_bytes", table.size), ("token_surprise", table.surprise)):
            self.register_buffer(name, torch.from_numpy(values).float(), persistent=False)

    def objective(self, outputs: Tensor, target: Tensor, reduction: str) -> Tensor:
        """Cross-entropy a place, so that shares of a batch add up to it."""
        losses = surprise(outputs, target).sum(dim=1) / target.shape[1]
        return losses.mean() if reduction == "mean" else losses.sum()

    def metrics(self) -> MetricCollection:
        """Sums over tokens of what the measures are made of."""
        return MetricCollection(
            {name: SumMetric() for name in ("loss", "tokens", "bytes", "unigram")},
            # each is given values of its own
            compute_groups=False,
        )

    def update(self, metrics: MetricCollection, outputs: Tensor, target: Tensor) -> None:
        """Adds the tokens of a batch."""
        measures: Any = metrics
        there = target != NOTHING
        measures["loss"].update(surprise(outputs, target).sum())
        measures["tokens"].update(there.sum())
        measures["bytes"].update(self.token_bytes[target[there]].sum())
        measures["unigram"].update(self.token_surprise[target[there]].sum())

    def values(self, metrics: MetricCollection) -> dict[str, float]:
        """Loss, pseudo-R², bits a byte and perplexity, as heldout.scoring has them."""
        total = super().values(metrics)
        loss = total["loss"] / total["tokens"]
        return {
            "loss": loss,
            "pseudo_r2": 1 - total["loss"] / total["unigram"],
            "bits_per_byte": total["loss"] / (math.log(2) * total["bytes"]),
            "perplexity": math.exp(min(loss, MOST)),
        }
