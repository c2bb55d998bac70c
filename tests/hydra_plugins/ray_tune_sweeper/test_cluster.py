"""A Ray cluster that runs already is joined by its address."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.hydra_plugins.ray_tune_sweeper.test_resume import APP, ROOT, _trials

from hydra_plugins.ray_tune_sweeper._cluster import _wait_for_answer
from hydra_plugins.ray_tune_sweeper._storage import check_storage


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """One that is free, for a cluster whose token the environment names."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    token = tmp_path / "token"
    token.write_text("0123456789abcdef" * 4)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    return number


@contextmanager
def head(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A cluster of one node; killed at the end, if it still runs."""
    # a short path: that of a socket has at most 107 characters
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    ray = Path(sys.executable).parent / "ray"
    command = [str(ray), "start", "--head", f"--port={port}", "--num-cpus=2", "--include-dashboard=false", "--block"]
    cluster = subprocess.Popen(
        [*command, f"--temp-dir={folder}", "--object-store-memory=100000000"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    yield cluster
    if cluster.poll() is None:
        cluster.send_signal(signal.SIGTERM)
        cluster.wait(timeout=60)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def address(port: int) -> Iterator[str]:
    """That of a cluster of one node."""
    with head(port):
        yield f"127.0.0.1:{port}"


def _run(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    (folder / "app.py").write_text(APP)
    command = [sys.executable, "app.py", "-m", "hydra/sweeper=ray_tune", "x=0.1,0.2", *overrides]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, capture_output=True, timeout=120,
        check=False,
    )  # fmt: skip


@pytest.mark.campaign
def test_running_cluster_is_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    storage = tmp_path / "shared"
    done = _run(tmp_path, f"hydra.sweeper.cluster.address={address}", f"hydra.sweeper.storage={storage}")
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    assert [trial.status for trial in _trials()] == ["finished", "finished"]
    # what trials wrote came through the storage
    assert sorted(path.name for path in (storage / "app" / "outputs").iterdir()) == ["0", "1"]
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 64)
    refused = _run(tmp_path, f"hydra.sweeper.cluster.address={address}", "hydra.sweeper.name=other")
    assert refused.returncode == 1
    assert "there is no Ray cluster that answers" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.fixture
def second_node(tmp_path: Path, address: str) -> Iterator[Path]:
    """A node that joins the cluster; returns a folder that it does not see, though another is there by its name."""
    if os.geteuid() != 0:
        pytest.skip("only root may give a process another view of the file system")
    private = tmp_path / "private"
    private.mkdir()
    from ray.util import get_node_ip_address

    _wait_for_answer(address, get_node_ip_address())
    ray = Path(sys.executable).parent / "ray"
    script = f"mount -t tmpfs none {private} && exec {ray} start --address={address} --num-cpus=1 --block"
    node = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    yield private
    node.send_signal(signal.SIGTERM)
    node.wait(timeout=60)


@pytest.mark.campaign
def test_storage_that_is_not_shared(tmp_path: Path, address: str, second_node: Path) -> None:
    # three CPUs are there when both nodes are
    many = ("hydra.sweeper.resources.workers=3", "hydra.sweeper.cluster.wait_seconds=60")
    done = _run(tmp_path, f"hydra.sweeper.cluster.address={address}", f"hydra.sweeper.storage={second_node}", *many)
    assert done.returncode == 1
    assert f"{second_node}/app is not shared" in done.stderr
    assert "of the Ray cluster cannot read what was written to it here" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_node_that_is_lost_while_it_is_asked_is_not_said_to_see_no_storage(
    ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ray.nodes()
    # what was read of the cluster a moment before; no node has this name now
    gone = {"Alive": True, "NodeID": known[0]["NodeID"][::-1], "NodeManagerAddress": "192.0.2.9"}
    monkeypatch.setattr(ray, "nodes", lambda: [*known, gone])
    check_storage(str(tmp_path))
    assert not list(tmp_path.iterdir())


def _start(address: str) -> subprocess.Popen[str]:
    told = "+hydra.sweeper.callbacks.told._target_=tests.hydra_plugins.ray_tune_sweeper.tasks.Told"
    Path("app.py").write_text(APP)
    overrides = (
        *("task=counting", "x=0.1,0.2,0.3", "steps=60", "seconds=0.1", "hydra.sweeper.checkpoint_seconds=0", told),
        *(f"hydra.sweeper.cluster.address={address}", "hydra.sweeper.cluster.join=true"),
        "hydra.sweeper.cluster.wait_seconds=60",
    )
    return subprocess.Popen(
        [sys.executable, "app.py", "-m", "hydra/sweeper=ray_tune", *overrides],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def _counted() -> list[tuple[str, ...]]:
    return [tuple(line.split()[:2]) for line in Path("counted").read_text().splitlines()]


@pytest.mark.campaign
def test_a_head_that_is_lost_ends_the_driver_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    monkeypatch.chdir(tmp_path)
    with head(port) as cluster:
        process = _start(f"127.0.0.1:{port}")
        give_up = time.monotonic() + 120
        while not Path("counted").is_file() or len(_counted()) < 40:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < give_up
            time.sleep(0.1)
        os.killpg(cluster.pid, signal.SIGKILL)
        cluster.wait()
        output, _ = process.communicate(timeout=60)
    assert process.returncode == os.EX_TEMPFAIL, output
    assert "of Ray cluster" in output
    assert "the same command goes on with the sweep" in output
    assert Path("told").read_text() == "interrupted"
    before = _counted()
    with head(port):
        process = _start(f"127.0.0.1:{port}")
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    trials = _trials()
    assert [trial.status for trial in trials] == ["finished"] * 3
    assert [[report.step for report in trial.reports] for trial in trials] == [list(range(1, 61))] * 3
    # begun again from their checkpoints: a few steps, those that the driver had not heard of, were made twice
    assert len(_counted()) - 180 <= 4 < len(before)
    assert Path("told").read_text() == "ended"


@pytest.mark.campaign
def test_nobody_answers(tmp_path: Path) -> None:
    began = time.monotonic()
    done = _run(tmp_path, "hydra.sweeper.cluster.address=127.0.0.1:1")
    assert done.returncode == 1
    assert "hydra.sweeper.cluster.address=127.0.0.1:1: there is no Ray cluster that answers" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 60


LOADED = """
import sys

import hydra


@hydra.main(version_base="1.3", config_path=None)
def app(cfg):
    return float("marker" in sys.modules)


app()
"""


@pytest.mark.campaign
@pytest.mark.parametrize(("preload", "loaded"), [("[no_such_module,marker]", 1.0), ("[]", 0.0)])
def test_workers_have_imported_what_is_to_be_preloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preload: str, loaded: float
) -> None:
    (tmp_path / "app.py").write_text(LOADED)
    (tmp_path / "marker.py").touch()
    command = [sys.executable, "app.py", "-m", "hydra/sweeper=ray_tune", "+x=1,2", f"hydra.sweeper.preload={preload}"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    assert [trial.objective for trial in _trials()] == [loaded, loaded]
