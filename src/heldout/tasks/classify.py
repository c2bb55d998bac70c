"""Classification: cross-entropy, and the measures of a classifier."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MetricCollection
from torchmetrics.aggregation import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from heldout.config.training import ClassifyConfig, OptimizerConfig, ScheduleConfig
from heldout.tasks.optimizers import build_optimizer, build_schedule

# the order of the loaders that are measured each epoch
MEASURED_SPLITS = ("train", "validation")
METRICS = ("loss", "accuracy")

Batch = dict[str, Any]


class Classify(LightningModule):
    """Trains a network on `{"inputs": {name: tensor}, "target": int64 [batch]}` to tell classes apart.

    The network maps inputs to logits `[batch, classes]`. Train and validation are measured alike, in evaluation mode
    and on fixed examples; what is logged as `validation/...` and kept in `measured` comes from there, never from the
    training steps.
    """

    def __init__(
        self,
        network: nn.Module,
        classes: int,
        task: ClassifyConfig,
        optimizer: OptimizerConfig,
        schedule: ScheduleConfig,
    ) -> None:
        super().__init__()
        self.network = network
        self.label_smoothing = task.label_smoothing
        self.optimizer_config = optimizer
        self.schedule_config = schedule
        # metrics of the last measurement by split
        self.measured: dict[str, dict[str, float]] = {}
        # losses of the steps since they were last looked at, on the device: looking waits for it
        self.step_losses: list[Tensor] = []
        self._metrics = nn.ModuleList(_metrics(classes) for _ in MEASURED_SPLITS)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Logits `[batch, classes]`."""
        logits: Tensor = self.network(inputs)
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        logits = self.network(batch["inputs"])
        loss = functional.cross_entropy(logits, batch["target"], label_smoothing=self.label_smoothing)
        self.step_losses.append(loss.detach())
        return loss

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        logits = self.network(batch["inputs"])
        metrics: Any = self._metrics[dataloader_idx]
        metrics["loss"].update(functional.cross_entropy(logits, batch["target"], reduction="none"))
        metrics["accuracy"].update(logits, batch["target"])

    def on_validation_epoch_end(self) -> None:
        for split, metrics in zip(MEASURED_SPLITS, self._metrics, strict=True):
            self.measured[split] = {name: float(metric.compute()) for name, metric in metrics.items()}  # type: ignore[operator]
            metrics.reset()  # type: ignore[operator]
        self.log_dict({f"validation/{name}": value for name, value in self.measured["validation"].items()})

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self.optimizer_config, self.network.parameters())
        schedule = build_schedule(self.schedule_config, optimizer, int(self.trainer.estimated_stepping_batches))
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @torch.inference_mode()
    def probabilities(self, inputs: dict[str, Tensor]) -> Tensor:
        """Class probabilities `[batch, classes]`, in evaluation mode."""
        self.eval()
        return torch.softmax(self.network(inputs).float(), dim=1)


def _metrics(classes: int) -> MetricCollection:
    return MetricCollection(
        {"loss": MeanMetric(), "accuracy": MulticlassAccuracy(num_classes=classes, average="micro")},
        # loss and accuracy take different arguments and share no state
        compute_groups=False,
    )
