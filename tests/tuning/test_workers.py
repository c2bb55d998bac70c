"""Trials of a sweep that have several workers each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from tests.tuning.conftest import Sweep, children_of, parent_of_sweep, trials

from heldout.config.stages import TrainConfig
from heldout.tuning.workers import trial_workers

TWO_WORKERS = (
    *("data=digits", "model=mlp", "model.hidden=[16]", "optimizer=sgd", "trainer.checkpoint_seconds=0"),
    *("sweep.name=s", "sweep.searcher.name=grid", "sweep.scheduler.name=fifo", "sweep.resources.workers=2"),
)


def part_of_a_fit() -> psutil.Process | None:
    """The process that takes part in a fit as the other worker of a trial."""
    for process in psutil.Process().children(recursive=True):
        try:
            if "heldout.training.worker" in process.cmdline() and process.parent().cmdline() == process.cmdline():
                return process
        except (psutil.Error, AttributeError):
            continue  # gone in the meantime
    return None


@contextmanager
def killing_one_worker() -> Iterator[list[int]]:
    """Kills a worker of a trial once the trial has a checkpoint; yields the processes that were killed."""
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.02) and not killed:
            if list(Path("sweeps/s").glob("*/state/*/last.ckpt")) and (victim := part_of_a_fit()):
                victim.kill()
                killed.append(victim.pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


@pytest.mark.kills
def test_a_trial_whose_worker_is_killed_goes_on_and_every_status_is_true(sweep: Sweep) -> None:
    arguments = ("model.learning_rate=0.01,1e30", "trainer.max_epochs=150")
    with killing_one_worker() as killed:
        assert sweep(*TWO_WORKERS, *arguments) == 0
    assert len(killed) == 1
    table = trials("s")
    assert table["status"].tolist() == ["finished", "failed"]
    assert "the loss became" in table["error"][1]
    assert table["epochs"][0] == 150
    children = children_of(parent_of_sweep())
    assert [run.info.status for run in children] == ["FINISHED", "FAILED"]
    give_up = time.monotonic() + 10
    while (left := part_of_a_fit()) and time.monotonic() < give_up:
        time.sleep(0.1)
    assert left is None


def test_a_baseline_has_one_worker(train_config: Callable[..., TrainConfig]) -> None:
    assert trial_workers(train_config("data=digits", "model=logistic", "sweep.resources.workers=2")) is None


def test_more_workers_than_the_cluster_has_are_refused(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("model.learning_rate=0.01,0.02", "sweep.resources.workers=9")
    assert sweep(*TWO_WORKERS, *arguments) == 2
    assert "sweep.resources.workers=9 of 1 CPUs each: the Ray cluster has 2 CPUs in all" in capsys.readouterr().err
