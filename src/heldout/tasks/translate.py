"""Translation: cross-entropy of the tokens of the given one, and chrF of what the network writes by itself."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MetricCollection
from torchmetrics.aggregation import SumMetric

from heldout.config.training import SearchConfig, TranslateConfig
from heldout.data.card import Card
from heldout.data.packing import NOTHING
from heldout.data.pairs import side_texts
from heldout.data.tokens import load_tokenizer
from heldout.models.beam import translated
from heldout.tasks.language import MOST, surprise
from heldout.tasks.supervised import Supervised
from heldout.tasks.task import Batch
from heldout.translations import sentence_chrf

# what looks on after each epoch: quick, and enough to see where it goes
GREEDY = SearchConfig(beam=1)


class Translate(Supervised):
    """Trains a network to give the next token of a translation.

    Logits `[batch, places, vocabulary]`, targets `[batch, places]`; places are those of the longest of a batch.
    """

    def __init__(self, network: nn.Module, card: Card, task: TranslateConfig, **options: Any) -> None:
        super().__init__(network, **options)
        self.label_smoothing = task.label_smoothing
        self.translated = task.translated
        self.tokenizer = card.tokenizer
        # of train: batches have different places, so that their sums are divided by the same number
        self.mean_tokens = sum(card.statistics["tokens"]["count"]) / card.counts["train"]

    def objective(self, outputs: Tensor, target: Tensor, reduction: str) -> Tensor:
        """Cross-entropy an example, over the mean number of tokens of one, so that shares of a batch add up to it."""
        losses = functional.cross_entropy(
            outputs.flatten(0, 1),
            target.flatten(),
            ignore_index=NOTHING,
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )
        total = losses / self.mean_tokens
        return total / len(target) if reduction == "mean" else total

    def metrics(self) -> MetricCollection:
        """Sums over tokens, and over translations that were written."""
        return MetricCollection(
            {name: SumMetric() for name in ("loss", "tokens", "chrf", "written")},
            # each is given values of its own
            compute_groups=False,
        )

    def update(self, metrics: MetricCollection, outputs: Tensor, target: Tensor) -> None:
        """Adds the tokens of a batch."""
        measures: Any = metrics
        measures["loss"].update(surprise(outputs, target).sum())
        measures["tokens"].update((target != NOTHING).sum())

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        super().validation_step(batch, batch_idx, dataloader_idx)
        # the first of a split are as good as any: prepare has put them into a random order
        rows = torch.nonzero(batch["index"] < self.translated).flatten()
        if not len(rows):
            return
        inputs = {name: tensor[rows].cpu().numpy() for name, tensor in batch["inputs"].items()}
        tokenizer = load_tokenizer(self.tokenizer)
        scores = sentence_chrf(
            tokenizer.decode_batch(translated(self.network, inputs, GREEDY)), side_texts(inputs, tokenizer)[1]
        )
        metrics: Any = self._metrics[dataloader_idx]
        metrics["chrf"].update(float(scores.sum()))
        metrics["written"].update(len(rows))

    def values(self, metrics: MetricCollection) -> dict[str, float]:
        """Loss, chrF and perplexity, as heldout.scoring has them; chrF of the examples that were translated."""
        total = super().values(metrics)
        loss = total["loss"] / total["tokens"]
        return {
            "loss": loss,
            "chrf": total["chrf"] / max(1.0, total["written"]),
            "perplexity": math.exp(min(loss, MOST)),
        }
