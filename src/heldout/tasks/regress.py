"""Regression: the squared error of standardised targets, measured in the unit of the target."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MetricCollection
from torchmetrics.aggregation import MeanMetric

from heldout.config.training import TaskConfig
from heldout.data.card import Card
from heldout.models.target_scale import TargetScale
from heldout.tasks.supervised import Supervised


class Regress(Supervised):
    """Trains a network to give a number; it maps inputs to `[batch, 1]`, targets are float32, both standardised."""

    def __init__(self, network: nn.Module, card: Card, task: TaskConfig, **options: Any) -> None:
        super().__init__(network, **options)
        self.scale = TargetScale.of(card)

    def objective(self, outputs: Tensor, target: Tensor, reduction: str) -> Tensor:
        """Squared error."""
        return functional.mse_loss(outputs.squeeze(1), target, reduction=reduction)

    def metrics(self) -> MetricCollection:
        """Means of what the measures are made of."""
        return MetricCollection(
            {name: MeanMetric() for name in ("squared", "absolute", "of_mean")},
            # each is given values of its own
            compute_groups=False,
        )

    def update(self, metrics: MetricCollection, outputs: Tensor, target: Tensor) -> None:
        """Adds the errors of a batch, and those of always saying the mean of train, which is 0 here."""
        measures: Any = metrics
        error = outputs.squeeze(1) - target
        measures["squared"].update(error.square())
        measures["absolute"].update(error.abs())
        measures["of_mean"].update(target.square())

    def values(self, metrics: MetricCollection) -> dict[str, float]:
        """Loss, R², root mean squared and mean absolute error, as heldout.scoring has them."""
        mean = super().values(metrics)
        squared, std = mean["squared"], self.scale.std
        return {
            "loss": squared * std**2,
            "r2": 1 - squared / mean["of_mean"] if mean["of_mean"] else 0.0,
            "rmse": math.sqrt(squared) * std,
            "mae": mean["absolute"] * std,
        }
