"""Classification: cross-entropy, and the measures of a classifier."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MetricCollection
from torchmetrics.aggregation import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from heldout.config.training import ClassifyConfig
from heldout.data.card import Card
from heldout.data.shard import Share
from heldout.tasks.augment import Augment
from heldout.tasks.supervised import Supervised


class Classify(Supervised):
    """Trains a network to tell classes apart; it maps inputs to logits `[batch, classes]`, targets are int64."""

    def __init__(self, network: nn.Module, card: Card, task: ClassifyConfig, **options: Any) -> None:
        super().__init__(network, **options)
        self.classes = len(card.classes)
        self.label_smoothing = task.label_smoothing
        self.augment = Augment(task, self.seed)

    def objective(self, outputs: Tensor, target: Tensor, reduction: str) -> Tensor:
        """Cross-entropy, smoothed as the config says."""
        return functional.cross_entropy(outputs, target, label_smoothing=self.label_smoothing, reduction=reduction)

    def augmented(self, inputs: dict[str, Tensor], share: Share | None = None) -> dict[str, Tensor]:
        """Images moved and mirrored at random."""
        return self.augment(inputs, self.steps_done, share)

    def metrics(self) -> MetricCollection:
        """Log loss and accuracy."""
        return MetricCollection(
            {"loss": MeanMetric(), "accuracy": MulticlassAccuracy(num_classes=self.classes, average="micro")},
            # loss and accuracy take different arguments and share no state
            compute_groups=False,
        )

    def update(self, metrics: MetricCollection, outputs: Tensor, target: Tensor) -> None:
        """Adds the log loss and the answers of a batch."""
        measures: Any = metrics
        measures["loss"].update(functional.cross_entropy(outputs, target, reduction="none"))
        measures["accuracy"].update(outputs, target)
