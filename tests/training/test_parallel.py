"""A fit on several worker processes is the fit of one, and ends with it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from mlflow.tracking import MlflowClient

from heldout.config.checks import check
from heldout.config.stages import TrainConfig
from heldout.training import stop
from heldout.training.deep import fit_deep
from heldout.training.errors import Diverged, Interrupted, TooManyWorkers, WorkerLost
from heldout.training.fitted import Fitted
from heldout.training.inputs import fit_inputs
from heldout.training.prepared import find_or_prepare
from heldout.training.train import train
from heldout.training.workers import DataParallel, local_workers

Compose = Callable[..., TrainConfig]
# 1079 examples of digits in batches of 100: the last has 79, which two workers share unevenly
DIGITS = ("data=digits", "trainer.accelerator=cpu", "trainer.max_epochs=3")


def fit(
    config: TrainConfig, folder: Path, workers: int, at_epoch: Callable[[int], None] = lambda epoch: None
) -> Fitted:
    folder.mkdir(exist_ok=True)
    data = fit_inputs(config, find_or_prepare(config.data, None), None, 0)
    parallel = DataParallel(local_workers(workers)) if workers > 1 else None
    return fit_deep(config, data, 0, folder, lambda _, epoch: at_epoch(epoch), "a run", None, parallel)


def assert_same(ours: Fitted, theirs: Fitted, tolerance: float) -> None:
    assert ours.steps == theirs.steps
    assert ours.kept_epoch == theirs.kept_epoch
    for mine, other in zip(ours.history, theirs.history, strict=True):
        assert [mine[key] for key in ("epoch", "split", "step")] == [other[key] for key in ("epoch", "split", "step")]
        for key in ("loss", "accuracy", "learning_rate"):
            assert mine[key] == pytest.approx(other[key], rel=tolerance), key
    for split, mine in ours.predictions.items():
        np.testing.assert_allclose(mine.probabilities, theirs.predictions[split].probabilities, atol=tolerance)


def parts_of_fits() -> list[psutil.Process]:
    """The processes that take part in a fit, of this one's workers."""
    servers = [p for p in psutil.Process().children() if "heldout.training.worker" in p.cmdline()]
    return [part for server in servers for part in server.children() if part.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=mlp", "model.dropout=0"],
        [
            "model=cnn",
            "model.dropout=0",
            "schedule=cosine",
            "trainer.gradient_clip=0.5",
            "task.label_smoothing=0.1",
            "task.flip=true",
            "task.crop_padding=1",
        ],
        # the last batch is of one example, for two workers; unlike Adam, SGD shows a wrong scale of the gradient
        ["model=mlp", "model.dropout=0", "optimizer=sgd", "trainer.batch_size=1078", "trainer.patience=1"],
        # batch normalisation over both shares
        ["model=resnet", "optimizer=sgd", "model.learning_rate=0.01", "trainer.max_epochs=2"],
        # Lightning takes each step
        ["model=mlp", "model.dropout=0", "optimizer=sgd", "trainer.precision=bf16-mixed"],
    ],
)
def test_two_workers_give_the_metrics_of_one(train_config: Compose, tmp_path: Path, overrides: list[str]) -> None:
    config = train_config(*DIGITS, *overrides)
    one, two = fit(config, tmp_path / "one", 1), fit(config, tmp_path / "two", 2)
    assert_same(two, one, 2e-2 if "trainer.precision=bf16-mixed" in overrides else 1e-4)
    assert parts_of_fits() == []


def test_a_training_with_dropout_repeats_itself(train_config: Compose, tmp_path: Path) -> None:
    config = train_config(*DIGITS, "model=mlp", "model.dropout=0.5")
    once, again = fit(config, tmp_path / "once", 2), fit(config, tmp_path / "again", 2)
    assert [row["loss"] for row in once.history] == [row["loss"] for row in again.history]


def test_divergence_names_the_step_of_the_whole_batch(train_config: Compose, tmp_path: Path) -> None:
    config = train_config(*DIGITS, "model=mlp", "model.dropout=0", "optimizer=sgd", "model.learning_rate=1e12")
    said = []
    for workers in (1, 2):
        with pytest.raises(Diverged, match=r"at step \d \(epoch 1\)") as caught:
            fit(config, tmp_path / str(workers), workers)
        said.append(str(caught.value).split(";")[0])
    assert said[0] == said[1]


def test_a_fit_whose_worker_is_killed_goes_on_from_its_checkpoint(train_config: Compose, tmp_path: Path) -> None:
    settings = (*DIGITS, "model=mlp", "model.dropout=0.3", "trainer.checkpoint_seconds=0")
    config, longer = train_config(*settings, "trainer.max_epochs=6"), train_config(*settings, "trainer.max_epochs=50")

    def kill(epoch: int) -> None:
        if epoch == 3:
            (part,) = parts_of_fits()
            part.kill()

    began = time.monotonic()
    with pytest.raises(WorkerLost, match=r"worker 2 of 2 is lost: its process was ended by signal 9"):
        fit(longer, tmp_path / "fit", 2, kill)
    assert time.monotonic() - began < 60
    assert (tmp_path / "fit" / "last.ckpt").is_file()
    resumed = fit(config, tmp_path / "fit", 2)
    whole = fit(config, tmp_path / "whole", 2)
    assert [row["loss"] for row in resumed.history] == [row["loss"] for row in whole.history]


def test_a_signal_ends_the_fit_and_its_workers(train_config: Compose, tmp_path: Path) -> None:
    def interrupt(epoch: int) -> None:
        if epoch == 2:
            signal.raise_signal(signal.SIGTERM)

    config = train_config(*DIGITS, "model=mlp", "trainer.max_epochs=500", "trainer.checkpoint_seconds=0")
    with stop.noting(), pytest.raises(Interrupted):
        fit(config, tmp_path / "fit", 2, interrupt)
    assert parts_of_fits() == []
    assert (tmp_path / "fit" / "last.ckpt").is_file()


def test_the_first_worker_alone_tracks_and_writes(train_config: Compose, workplace: Path) -> None:
    config = train_config(*DIGITS, "model=mlp", "trainer.devices=2", "tracking.system_metrics_seconds=null")
    (record,) = train(config)
    assert record.info["status"] == "finished"
    assert sorted(path.name for path in (workplace / "out").iterdir()) == ["seed-0"]
    client = MlflowClient(f"sqlite:///{workplace}/mlflow.db")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert sorted(run.data.tags["heldout.kind"] for run in runs) == ["configuration", "run"]
    (run,) = [run for run in runs if run.data.tags["heldout.kind"] == "run"]
    history = client.get_metric_history(run.info.run_id, "validation/loss")
    assert [metric.step for metric in history] == [1, 2, 3]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["trainer.devices=2", "trainer.batch_size=1"], "trainer.devices=2 with trainer.batch_size=1: expected"),
        (["sweep.resources.workers=3", "trainer.batch_size=2"], "sweep.resources.workers=3 with trainer.batch_size=2"),
        (["trainer.devices=2", "sweep.resources.workers=2"], "both say how many share a training"),
    ],
)
def test_workers_that_have_nothing_to_do_are_refused(train_config: Compose, overrides: list[str], said: str) -> None:
    config = train_config("data=digits", "model=mlp")
    for override in overrides:
        *path, name = override.partition("=")[0].split(".")
        node = config
        for part in path:
            node = getattr(node, part)
        setattr(node, name, int(override.partition("=")[2]))
    assert any(said in problem for problem in check(config))


@pytest.mark.skipif(torch.cuda.device_count() >= 2, reason="there are two GPUs")
def test_more_devices_than_gpus_are_refused(train_config: Compose, tmp_path: Path) -> None:
    config = train_config(*DIGITS, "model=mlp", "trainer.accelerator=gpu")
    with pytest.raises(TooManyWorkers, match=r"trainer.devices=2 .*this machine has \d GPUs?\. Expected as many"):
        fit(config, tmp_path / "fit", 2)
