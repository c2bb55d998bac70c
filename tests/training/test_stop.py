"""A signal is noted when it comes and obeyed at a seam, wherever in a training it arrives."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from heldout.config.stages import TrainConfig
from heldout.models import baselines
from heldout.training import callbacks, stop
from heldout.training import train as training
from heldout.training.errors import Interrupted
from heldout.training.train import train

Compose = Callable[..., TrainConfig]
FAST = ("data=digits", "trainer.max_epochs=3", "tracking.system_metrics_seconds=null", "tracking.models=false")


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", stop.SIGNALS)
def test_a_signal_is_noted_and_obeyed_at_a_seam(number: int) -> None:
    with stop.noting():
        send(number)
        assert stop.received() == number
        with pytest.raises(Interrupted) as caught:
            stop.obey()
    assert caught.value.exit_code == 128 + number


def test_without_a_signal_nothing_happens_and_the_handlers_come_back() -> None:
    before = [signal.getsignal(number) for number in stop.SIGNALS]
    with stop.noting():
        stop.obey()
        with stop.at_once():
            pass
    assert stop.received() is None
    assert [signal.getsignal(number) for number in stop.SIGNALS] == before


def test_a_long_computation_is_cut_in_its_midst() -> None:
    done: list[str] = []

    def compute() -> None:
        with stop.at_once():
            send(signal.SIGTERM)
            done.append("all of it")

    with stop.noting(), pytest.raises(Interrupted):
        compute()
    assert done == []


def test_an_interruption_that_the_computation_swallows_is_not_lost() -> None:
    def compute() -> None:
        with stop.at_once(), contextlib.suppress(Interrupted):
            send(signal.SIGTERM)

    with stop.noting(), pytest.raises(Interrupted):
        compute()


def test_whoever_asks_twice_means_at_once() -> None:
    with stop.noting():
        send(signal.SIGINT)
        with pytest.raises(Interrupted):
            send(signal.SIGINT)


def test_in_another_thread_signals_are_left_alone() -> None:
    handlers: list[Any] = []

    def look() -> None:
        with stop.noting():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGTERM)]


def statuses() -> list[str]:
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    return sorted(run.info.status for run in client.search_runs(["1"]))


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with a SIGTERM in its first call."""
    calls: list[None] = []

    def with_signal(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if not calls:
            calls.append(None)
            send(signal.SIGTERM)
        return result

    return with_signal


@pytest.mark.parametrize(
    ("owner", "name", "model"),
    [
        (training, "_start", "mlp"),
        (callbacks.History, "on_validation_end", "mlp"),
        (callbacks.Checkpoints, "on_train_epoch_end", "mlp"),
        (baselines, "build", "logistic"),
    ],
    ids=["a run begins", "evaluation", "the end of an epoch", "a baseline is built"],
)
def test_wherever_it_arrives_all_runs_end_as_killed_and_go_on_later(
    train_config: Compose, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, model: str
) -> None:
    config = train_config(*FAST, f"model={model}", "seeds=[0,1]")
    monkeypatch.setattr(owner, name, once(getattr(owner, name)))
    with pytest.raises(Interrupted):
        train(config)
    assert set(statuses()) == {"KILLED"}
    assert [record.info["status"] for record in train(config)] == ["finished", "finished"]
    assert statuses() == ["FINISHED"] * 3, "the same runs, and no others"


def test_what_was_finished_when_it_arrived_is_kept(train_config: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "write_outcome", once(training.write_outcome))
    config = train_config(*FAST, "model=mlp")
    assert [record.info["status"] for record in train(config)] == ["finished"]
    assert stop.received() == signal.SIGTERM, "for who has more to do than this training"
