"""What happens around the steps of a fit: measuring, keeping the best epoch, checkpoints, and early ends."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.nn.modules.batchnorm import _BatchNorm

from heldout import pod
from heldout.config.training import Keep, Mode, OptimizerConfig
from heldout.models.groups import depth_groups
from heldout.models.layers import BatchNorm
from heldout.record import HISTORY_COLUMNS
from heldout.scoring import Measure
from heldout.tasks.optimizers import RATE_SHARE
from heldout.tasks.task import MEASURED_SPLITS, Task
from heldout.training import stop
from heldout.training.errors import Diverged
from heldout.training.fitted import LogMetrics, ReportEpoch, grouped

logger = logging.getLogger(__name__)

Row = dict[str, Any]
# steps between two looks at the losses: a look waits for the device
STEPS_PER_LOOK = 50
SECONDS_PER_LINE = 2.0


class History(Callback):
    """A row per epoch and split, logged as it comes; goes on where a resumed run left off."""

    def __init__(self, log: LogMetrics, name: str, score: Measure) -> None:
        self.rows: list[Row] = []
        self._log = log
        self._name = name
        self._score = score
        self._seconds_before = 0.0
        self._started = time.monotonic()
        self._last_line = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of fitting, over all starts of this run."""
        return self._seconds_before + time.monotonic() - self._started

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started = time.monotonic()
        # what an earlier start could not send before it was killed; what it did send is not logged twice
        for train, validation in zip(self.rows[::2], self.rows[1::2], strict=True):
            measured = {of["split"]: _measures(of) for of in (train, validation)}
            self._log_epoch(int(train["epoch"]), measured, train["learning_rate"])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Task)
        epoch = trainer.current_epoch + 1
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        common: Row = {"step": pl_module.steps_done, "learning_rate": rate, "seconds": self.seconds}
        for split in MEASURED_SPLITS:
            self.rows.append({"epoch": epoch, "split": split, **pl_module.measured[split], **common})
        self._log_epoch(epoch, pl_module.measured, rate)
        self._say(epoch, trainer.max_epochs or epoch, pl_module.measured)

    def _log_epoch(self, epoch: int, measured: dict[str, dict[str, float]], learning_rate: float) -> None:
        self._log({**grouped(measured), "optimizer/learning_rate": learning_rate}, epoch)

    def _say(self, epoch: int, epochs: int, measured: dict[str, dict[str, float]]) -> None:
        now = time.monotonic()
        # of a pod one looks at the log, for a sign of life
        if not pod.in_job() and now - self._last_line < SECONDS_PER_LINE and epoch not in (1, epochs):
            return
        self._last_line = now
        train, validation = measured["train"], measured["validation"]
        logger.info(
            "%s  epoch %d/%d  loss %.4g / %.4g  %s %.4f / %.4f  (train / validation)  %.1f s",
            self._name,
            epoch,
            epochs,
            train["loss"],
            validation["loss"],
            self._score.label,
            train[self._score.name],
            validation[self._score.name],
            self.seconds,
        )

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]
        self._seconds_before = state_dict["seconds"]


def _measures(row: Row) -> dict[str, float]:
    return {name: value for name, value in row.items() if name not in HISTORY_COLUMNS}


class KeepWeights(Callback):
    """Holds the weights of the epoch that is kept: that with the best validation value, or the last."""

    def __init__(self, keep: Keep, monitor: str, mode: Mode) -> None:
        self.keep = keep
        self.monitor = monitor
        self.mode = mode
        self.epoch = 0
        self.value = float("nan")
        # of validation, at the epoch that is kept
        self.metrics: dict[str, float] = {}
        self.weights: dict[str, torch.Tensor] = {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Task)
        value = pl_module.measured["validation"][self.monitor]
        if not self.weights or self._is_kept(value):
            self.epoch = trainer.current_epoch + 1
            self.value = value
            self.metrics = dict(pl_module.measured["validation"])
            state = pl_module.network.state_dict()
            self.weights = {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}

    def _is_kept(self, value: float) -> bool:
        if self.keep is Keep.last:
            return True
        return value < self.value if self.mode is Mode.min else value > self.value

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "value": self.value, "metrics": self.metrics, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epoch, self.value = state_dict["epoch"], state_dict["value"]
        self.metrics = state_dict["metrics"]
        self.weights = state_dict["weights"]


class Report(Callback):
    """Tells a sweep, after each epoch, what validation gives at the epoch that would be kept."""

    def __init__(self, report: ReportEpoch, kept: KeepWeights, checkpoint_name: str) -> None:
        self._report = report
        self._kept = kept
        self._checkpoint_name = checkpoint_name

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        def save(folder: Path) -> None:
            trainer.save_checkpoint(folder / self._checkpoint_name)

        self._report(trainer.current_epoch + 1, self._kept.metrics, save)


class AsConfigured(Callback):
    """Gives an optimizer the rate and decay of the config: a checkpoint may be that of a trial that had others."""

    def __init__(self, config: OptimizerConfig) -> None:
        self._config = config

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        rate = self._config.learning_rate
        assert rate is not None, "a deep family always has a learning rate"
        schedules = [configured.scheduler for configured in trainer.lr_scheduler_configs]
        for group in trainer.optimizers[0].param_groups:
            before = group.get("initial_lr", group["lr"])
            own = rate * group.get(RATE_SHARE, 1.0)
            group["lr"] = group["lr"] * own / before
            group["weight_decay"] = self._config.weight_decay
            if "initial_lr" in group:
                group["initial_lr"] = own
        shares = [group.get(RATE_SHARE, 1.0) for group in trainer.optimizers[0].param_groups]
        for schedule in schedules:
            schedule.base_lrs = [rate * share for share in shares]


class Checkpoints(Callback):
    """Writes the state to resume from, at the end of an epoch, when enough time has passed."""

    def __init__(self, path: Path, every_seconds: float) -> None:
        self.path = path
        self.every_seconds = every_seconds
        self._last = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if time.monotonic() - self._last < self.every_seconds:
            return
        self._last = time.monotonic()
        partial = self.path.with_suffix(".partial")
        trainer.save_checkpoint(partial)
        # a kill during the write leaves the earlier checkpoint whole
        partial.replace(self.path)

    def state_dict(self) -> dict[str, Any]:
        return {"rng": torch.get_rng_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        torch.set_rng_state(state_dict["rng"])


class FiniteLoss(Callback):
    """Ends a run whose loss is no longer a number, naming the step and the likely cause."""

    def __init__(self) -> None:
        self._first_step = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Task)
        if len(pl_module.step_losses) >= STEPS_PER_LOOK:
            self._look(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Task)
        self._look(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Task)
        self._look(trainer, pl_module)

    def _look(self, trainer: Trainer, module: Task) -> None:
        if not module.step_losses:
            return
        losses = module.take_step_losses()
        first_step = module.steps_done - len(losses) + 1
        bad = (~torch.isfinite(losses)).nonzero()
        if len(bad) == 0:
            return
        index = int(bad[0])
        raise Diverged(_cause(float(losses[index]), first_step + index, trainer, module))


def _cause(loss: float, step: int, trainer: Trainer, module: Task) -> str:
    rate = trainer.optimizers[0].param_groups[0]["lr"]
    broken = [n for n, p in module.network.named_parameters() if not bool(torch.isfinite(p).all())]
    where = f"{len(broken)} parameters are not finite, first {broken[0]}" if broken else "the weights are finite"
    return (
        f"the loss became {loss} at step {step} (epoch {trainer.current_epoch + 1}); {where}. "
        f"The learning rate was {rate:g}: try a smaller model.learning_rate, a trainer.gradient_clip, or "
        "look for extreme values in the data with the validate stage."
    )


class Frozen(Callback):
    """Keeps all layers but the classifier as they are for the first epochs, their running statistics too.

    fixed_statistics: those stay to the end, and normalise also while training.
    """

    def __init__(self, epochs: int, fixed_statistics: bool) -> None:
        self._epochs = epochs
        self._fixed_statistics = fixed_statistics

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Task)
        is_frozen = trainer.current_epoch < self._epochs
        *body, classifier = depth_groups(pl_module.network)
        for parameter in (p for group in body for p in group):
            parameter.requires_grad_(not is_frozen)
        trained = {id(parameter) for parameter in classifier}
        for module in pl_module.network.modules():
            own = {id(parameter) for parameter in module.parameters(recurse=False)}
            if own and not own & trained:
                stays = self._fixed_statistics and isinstance(module, BatchNorm | _BatchNorm)
                module.training = not (is_frozen or stays)


class StopOnSignal(Callback):
    """Ends a fit between two batches once a signal has arrived."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        stop.obey()


class OwnRandomness(Callback):
    """Has a worker draw dropout of its own, the same in each epoch whether or not the fit was resumed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Task)
        assert pl_module.shared is not None
        words = np.random.SeedSequence([self._seed, pl_module.shared.shard.rank, trainer.current_epoch])
        torch.manual_seed(int(words.generate_state(1, np.uint64)[0] >> np.uint64(1)))
