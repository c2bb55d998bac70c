"""Stores to test against: a SQLite file of its own for each test, and one real server that tests may kill."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from heldout.config.tracking import TrackingConfig
from heldout.tracking import Tracking, connect

HELPER = Path(__file__).with_name("helper.py")


class Helper:
    """The process of helper.py."""

    def __init__(self, folder: Path, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HELPER), str(folder), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, *command: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(command) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Server:
    """A real MLflow server on a free port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{port}"
        self.helper = Helper(folder, port)
        self._state = "stopped"

    def start(self) -> None:
        """Makes it run, whatever it was doing."""
        if self._state == "frozen":
            self.helper.ask("thaw")
        if self._state == "stopped":
            self.helper.ask("start")
        self._state = "running"

    def guard(self) -> None:
        """Makes it run, stopped before, with a login."""
        if self._state != "stopped":
            self.kill()
        self.helper.ask("guard", str(self.folder))
        self._state = "running"

    def kill(self) -> None:
        self.helper.ask("kill")
        self._state = "stopped"

    def freeze(self) -> None:
        """It accepts connections, and answers none."""
        self.helper.ask("freeze")
        self._state = "frozen"

    def close(self) -> None:
        if self._state != "stopped":
            self.kill()
        self.helper.close()


@pytest.fixture(scope="session", autouse=True)
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # for every test, so that it gets ready beside those that do not need it
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture
def helper(_server: Server) -> Helper:
    return _server.helper


@pytest.fixture
def server(_server: Server, _database: Path) -> Server:
    """The server, running."""
    if not (_server.folder / "server.db").exists():
        shutil.copy(_database, _server.folder / "server.db")
    _server.start()
    return _server


@pytest.fixture(scope="session")
def _database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initialised database, to be copied."""
    folder = tmp_path_factory.mktemp("database")
    connect(TrackingConfig(uri=f"sqlite:///{folder}/mlflow.db"), folder)
    return folder / "mlflow.db"


@pytest.fixture
def config(_database: Path, tmp_path: Path) -> TrackingConfig:
    """Tracking on a new SQLite file that sends soon and does not wait long."""
    shutil.copy(_database, tmp_path / "mlflow.db")
    return quick_config("sqlite:///mlflow.db")


@pytest.fixture
def tracking(config: TrackingConfig, tmp_path: Path) -> Tracking:
    return connect(config, tmp_path)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ours = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"}
    for name in ours | {name for name in os.environ if name.startswith("MLFLOW_")}:
        monkeypatch.setenv(name, "")  # so that it is as before after the test, even if it was not set before
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def quick_config(uri: str) -> TrackingConfig:
    return TrackingConfig(
        uri=uri,
        experiment="test",  # not the one of the copied database, whose artifacts are elsewhere
        flush_seconds=0.05,
        request_seconds=1,
        start_seconds=1.0,
        close_seconds=5.0,
        system_metrics_seconds=None,
    )


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Waits until `condition` holds; fails the test when it does not in time."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)


@contextlib.contextmanager
def timed() -> Iterator[list[float]]:
    """Seconds spent in the block, in a list of one, filled at its end."""
    seconds: list[float] = []
    started = time.monotonic()
    yield seconds
    seconds.append(time.monotonic() - started)
