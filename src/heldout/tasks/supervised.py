"""What the tasks with a target share: the steps of a fit, and how it is measured after each epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn
from torchmetrics import MetricCollection

from heldout.data.shard import Share
from heldout.tasks.shared_steps import SharedSteps
from heldout.tasks.task import MEASURED_SPLITS, Batch, BlockSteps, Task


class Supervised(Task, ABC):
    """Trains a network on `{"inputs": {name: tensor}, "target": tensor [batch]}`.

    Train and validation are measured alike, in evaluation mode and on fixed examples; what is logged as
    `validation/...` and kept in `measured` comes from there, never from the training steps. A task says what its loss
    is and what it measures.
    """

    def __init__(self, network: nn.Module, **options: Any) -> None:
        super().__init__(network, **options)
        self._metrics = nn.ModuleList()

    @abstractmethod
    def objective(self, outputs: Tensor, target: Tensor, reduction: str) -> Tensor:
        """The loss that the steps make smaller, over a batch; `reduction` is "mean" or "sum"."""

    @abstractmethod
    def metrics(self) -> MetricCollection:
        """What is measured of a split."""

    @abstractmethod
    def update(self, metrics: MetricCollection, outputs: Tensor, target: Tensor) -> None:
        """Adds a batch to what is measured."""

    def values(self, metrics: MetricCollection) -> dict[str, float]:
        """The measures of the task, by name, from all that was added."""
        return {name: float(metric.compute()) for name, metric in metrics.items()}

    def augmented(self, inputs: dict[str, Tensor], share: Share | None = None) -> dict[str, Tensor]:
        """The inputs of a training step, of a worker's share of it where there is one."""
        return inputs

    def setup(self, stage: str) -> None:
        self._metrics.extend(self.metrics() for _ in MEASURED_SPLITS[len(self._metrics) :])

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Outputs of the network, `[batch, outputs]`."""
        outputs: Tensor = self.network(inputs)
        return outputs

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        if self.steps is None:
            if self.shared is not None:
                (share,) = self.shared.shard.shares(batch["whole"])
                return self._share_of_loss(batch["inputs"], batch["target"], share, self.shared)
            return self._loss(batch["inputs"], batch["target"])
        self._step_through(batch, self.steps)
        return None

    def _loss(self, inputs: dict[str, Tensor], target: Tensor) -> Tensor:
        loss = self.objective(self.network(self.augmented(inputs)), target, "mean")
        self.step_losses.append(loss.detach())
        self.steps_done += 1
        return loss

    def _share_of_loss(self, inputs: dict[str, Tensor], target: Tensor, share: Share, shared: SharedSteps) -> Tensor:
        outputs = shared.forward(self.augmented(inputs, share))
        loss = self.objective(outputs, target, "sum") / share.total
        self.step_losses.append(loss.detach())
        self.steps_done += 1
        return loss * shared.shard.workers

    def _step_through(self, block: Batch, steps: BlockSteps) -> None:
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        schedule: Any = self.lr_schedulers()
        parameters = list(self.network.parameters())
        shared = self.shared
        shares = [] if shared is None else shared.shard.shares(block["whole"])
        size: Any = steps.batch_size if shared is None else [share.size for share in shares]
        inputs = {name: tensor.split(size) for name, tensor in block["inputs"].items()}
        for index, target in enumerate(block["target"].split(size)):
            batch = {name: parts[index] for name, parts in inputs.items()}
            if shared is None:
                loss = self._loss(batch, target)
            else:
                loss = self._share_of_loss(batch, target, shares[index], shared)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if steps.gradient_clip is not None:
                nn.utils.clip_grad_norm_(parameters, steps.gradient_clip)
            optimizer.step()
            if schedule is not None:
                schedule.step()

    def on_train_start(self) -> None:
        if self.shared is not None:
            self.shared.wrap(self.network)

    def on_train_end(self) -> None:
        if self.shared is not None:
            self.shared.unwrap()

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        metrics: Any = self._metrics[dataloader_idx]
        self.update(metrics, self.network(batch["inputs"]), batch["target"])

    def on_validation_epoch_end(self) -> None:
        for split, of_split in zip(MEASURED_SPLITS, self._metrics, strict=True):
            metrics: Any = of_split
            self.measured[split] = self.values(metrics)
            metrics.reset()
        self.log_measured()
