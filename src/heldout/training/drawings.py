"""Pictures of what a network draws while it is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from heldout.models.drawing import drawer
from heldout.pictures import BY_EPOCH, COLUMNS, sheet
from heldout.tasks.task import Task
from heldout.training.inside import is_looked_at


class DrawnByEpoch(Callback):
    """Notes, at some ends of epochs, what is drawn from the same codes."""

    def __init__(self, looks: int, batch_size: int) -> None:
        # uint8 [columns, channels, height, width] each
        self.rows: list[torch.Tensor] = []
        self._looks = looks
        self._batch_size = batch_size

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Task)
        if is_looked_at(trainer.current_epoch + 1, trainer.max_epochs or 1, self._looks):
            drawn = drawer(pl_module.network, self._batch_size)(np.arange(COLUMNS))
            self.rows.append(torch.from_numpy(drawn))

    def pictures(self) -> dict[str, bytes]:
        """One picture with a row a look."""
        return {BY_EPOCH: sheet(torch.cat(self.rows).numpy(), COLUMNS)} if self.rows else {}

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]
