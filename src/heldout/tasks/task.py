"""What a module of any task has for the callbacks around its steps."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from heldout.config.training import OptimizerConfig, ScheduleConfig
from heldout.models.groups import depth_groups
from heldout.tasks.optimizers import build_optimizer, build_schedule, rate_groups
from heldout.tasks.shared_steps import SharedSteps

# the order of the loaders that are measured each epoch
MEASURED_SPLITS = ("train", "validation")

Batch = dict[str, Any]


@dataclass(frozen=True)
class BlockSteps:
    """How a module steps through a block of several batches by itself.

    Lightning spends about as long on a step as a small net does. Given several batches at once, the module takes the
    steps in a loop of its own, with the same arithmetic, and Lightning's share is paid once a block. For one device in
    full precision; elsewhere Lightning takes each step.
    """

    batch_size: int
    gradient_clip: float | None


class Task(LightningModule, ABC):
    """A network with its optimizer; a subclass takes the steps, and leaves what it measures in `measured`."""

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerConfig,
        schedule: ScheduleConfig,
        total_steps: int,
        steps: BlockSteps | None = None,
        seed: int = 0,
        shared: SharedSteps | None = None,
        layer_decay: float = 1.0,
    ) -> None:
        super().__init__()
        self.network = network
        self.shared = shared
        self.total_steps = total_steps
        self.steps = steps
        self.automatic_optimization = steps is None
        # optimizer steps done so far; Lightning does not count those inside a block
        self.steps_done = 0
        self.seed = seed
        self.optimizer_config = optimizer
        self.schedule_config = schedule
        self.layer_decay = layer_decay
        # metrics of the last measurement by split
        self.measured: dict[str, dict[str, float]] = {}
        # losses of the steps since they were last looked at, on the device: looking waits for it
        self.step_losses: list[Tensor] = []

    def take_step_losses(self) -> Tensor:
        """The losses of the steps since they were last taken, of the whole batches where several workers share them."""
        losses = torch.stack(self.step_losses)
        self.step_losses = []
        return losses if self.shared is None else self.shared.total(losses)

    def log_measured(self) -> None:
        """Tells Lightning what validation gave: by it a fit may end early."""
        self.log_dict({f"validation/{name}": value for name, value in self.measured["validation"].items()})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["steps_done"] = self.steps_done

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.steps_done = checkpoint["steps_done"]

    def _rated_parameters(self) -> Any:
        rate = self.optimizer_config.learning_rate
        if self.layer_decay == 1 or rate is None:
            return self.network.parameters()
        return rate_groups(depth_groups(self.network), rate, self.layer_decay)

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self.optimizer_config, self._rated_parameters())
        schedule = build_schedule(self.schedule_config, optimizer, self.total_steps)
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
