"""A fit on two nodes, here two processes that know of each other by the loopback address alone, is the fit of one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from tests.conftest import ROOT

from heldout.config.stages import TrainConfig
from heldout.record import Record
from heldout.training.errors import NodeDiffers, NodeMissing, WorkerLost, WrongPlace
from heldout.training.link import Link, Message
from heldout.training.other_node import take_part
from heldout.training.place import Place, place_of
from heldout.training.train import train

Compose = Callable[..., TrainConfig]
SETTINGS = (
    *("data=digits", "model=mlp", "model.dropout=0", "trainer.accelerator=cpu", "trainer.checkpoint_seconds=0"),
    *("tracking.system_metrics_seconds=null", "trainer.nodes=2", "trainer.inside.looks=0"),
)
Second = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def meeting(monkeypatch: pytest.MonkeyPatch) -> Place:
    """Makes this process the first node; the place of the second."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    for name, value in (("HELDOUT_NODE_RANK", "0"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", str(port))):
        monkeypatch.setenv(name, value)
    return Place(1, 2, "127.0.0.1", port)


@pytest.fixture
def second(workplace: Path, meeting: Place, warm_process: dict[str, str]) -> Iterator[Second]:
    """Starts the second node, in a working folder of its own; it is killed with the test."""
    folder = workplace / "second"
    folder.mkdir()
    started = []

    def begin(*overrides: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "pipelines" / "train.py"), *SETTINGS, *overrides, "out=elsewhere"],
            cwd=folder, env={**os.environ, **warm_process, "HELDOUT_NODE_RANK": "1"}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def losses(record: Record) -> list[float]:
    return [float(value) for value in record.history["loss"]]


@pytest.mark.kills
def test_two_nodes_one_lost_on_the_way_give_the_metrics_of_one_and_the_first_alone_tracks(
    train_config: Compose, workplace: Path, second: Second
) -> None:
    epochs = "trainer.max_epochs=12"
    process = second(epochs)

    def kill() -> None:
        while not list(workplace.glob(".heldout/state/*/seed-0/last.ckpt")):
            time.sleep(0.02)
        process.kill()

    threading.Thread(target=kill).start()
    with pytest.raises(WorkerLost, match=r"worker 2 of 2 is lost: node 1 at 127.0.0.1 is gone") as caught:
        train(train_config(*SETTINGS, epochs))
    assert caught.value.exit_code == 75
    process = second(epochs)
    (two,) = train(train_config(*SETTINGS, epochs))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    client = MlflowClient(f"sqlite:///{workplace}/mlflow.db")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert sorted(run.data.tags["heldout.kind"] for run in runs) == ["configuration", "run"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert not list((workplace / "second").rglob("mlflow.db"))
    assert not list((workplace / "second").rglob("*.safetensors"))
    (one,) = train(train_config(*SETTINGS, epochs, "trainer.nodes=1", "out=one"))
    assert losses(two) == pytest.approx(losses(one), rel=1e-4)


def test_a_node_that_does_not_come_is_named(train_config: Compose, meeting: Place) -> None:
    config = train_config(*SETTINGS, "trainer.node_seconds=1")
    with pytest.raises(NodeMissing, match=r"node 1 of 2 did not come to 127.0.0.1:\d+ within 1 seconds"):
        train(config)
    assert not Path("mlflow.db").exists()
    with pytest.raises(NodeMissing, match=r"node 0 did not answer node 1 at 127.0.0.1:\d+ within 1 seconds"):
        take_part(config, meeting)


def test_a_node_with_another_command_is_refused_and_told_so(train_config: Compose, meeting: Place) -> None:
    answers: list[Message | None] = []

    def come() -> None:
        while True:
            try:
                link = Link(socket.create_connection((meeting.host, meeting.port)))
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        link.send(Message("hello", {"rank": 1, "key": "digits-mlp-other"}))
        answers.append(link.receive())
        link.close()

    other = threading.Thread(target=come)
    other.start()
    with pytest.raises(
        NodeDiffers, match=r"node 1 at 127.0.0.1 is to train digits-mlp-other, and node 0 digits-mlp-\w"
    ):
        train(train_config(*SETTINGS))
    other.join(timeout=10)
    (answer,) = answers
    assert answer is not None
    assert (answer.kind, answer.content["code"]) == ("leave", 2)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "JOB_COMPLETION_INDEX is not set: expected the rank of this node, from 0 to 1"),
        ({"JOB_COMPLETION_INDEX": "2", "MASTER_ADDR": "first"}, "is 2: expected the rank"),
        ({"JOB_COMPLETION_INDEX": "1"}, "MASTER_ADDR is not set"),
    ],
)
def test_an_environment_that_does_not_say_the_place(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    for name in ("HELDOUT_NODE_RANK", "JOB_COMPLETION_INDEX", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WrongPlace, match=said):
        place_of(2)
    assert place_of(1) is None
