"""What a training costs: memory at the peak, examples a second."""

from __future__ import annotations

import contextlib
import re
import resource
import sys
import time
from pathlib import Path

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
PEAK = "VmHWM"
NOW = "VmRSS"


class Costs(Callback):
    """Time of the training steps, without what is measured after each epoch, and memory, since this start of a fit."""

    def __init__(self, examples: int) -> None:
        self.memory_at_start = 0
        self.peak_memory = 0
        self._examples_an_epoch = examples
        self._examples = 0
        self._seconds = 0.0
        self._began = 0.0

    @property
    def train_examples_per_second(self) -> float:
        return self._examples / self._seconds if self._seconds else 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.memory_at_start = memory(pl_module.device, peak=False)
        count_peak_from_now(pl_module.device)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began = time.monotonic()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)
        self._seconds += time.monotonic() - self._began
        self._examples += self._examples_an_epoch

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.peak_memory = memory(pl_module.device, peak=True)


def memory(device: torch.device, peak: bool) -> int:
    """Bytes of tensors on a GPU, elsewhere of the whole process: at the peak or now.

    Where the system does not say what a process holds now (it is not Linux), this is its peak.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) if peak else torch.cuda.memory_allocated(device)
    try:
        status = STATUS.read_text(encoding="ascii")
    except OSError:
        # bytes on macOS
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    found = re.search(rf"^{PEAK if peak else NOW}:\s+(\d+) kB", status, flags=re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def count_peak_from_now(device: torch.device) -> None:
    """Forgets the peak so far. Where the system does not let a process ask for that, it stays that of its life."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):  # not Linux, or a container that forbids it
        RESET.write_text("5", encoding="ascii")
