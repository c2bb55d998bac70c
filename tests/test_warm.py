"""Stages in forks of a process that has the heavy libraries imported."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from heldout import warm

pytestmark = [
    pytest.mark.skipif(not warm.can_fork(), reason="forking with these libraries is safe on Linux only"),
    pytest.mark.timeout(120),
]

CLIENT = (
    "import sys; from heldout import warm; code = warm.forward(['-m', *sys.argv[1:]]); "
    "sys.exit(99 if code is None else code)"
)


@pytest.fixture
def address(warm_process: dict[str, str]) -> dict[str, str]:
    return warm_process


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "job.py"
    path.write_text(
        "import os, sys, signal, time\n"
        "print('torch' in sys.modules, 'heldout.training' in sys.modules, os.getcwd(), os.environ.get('GIVEN'))\n"
        "print('on stderr', file=sys.stderr)\n"
        "if 'sleep' in sys.argv:\n"
        "    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "if 'raise' in sys.argv: raise RuntimeError('planned')\n"
        "if 'die' in sys.argv: os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.exit(int(sys.argv[-1]))\n"
    )
    return path


def start(script: Path, address: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, "job", *arguments],
        env={**os.environ, **address, "GIVEN": "kept", "PYTHONPATH": str(script.parent)},
        cwd=script.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_job_has_torch_but_fresh_code_and_the_callers_world(script: Path, address: dict[str, str]) -> None:
    out, err = start(script, address, "0").communicate(timeout=120)
    assert out.split() == ["True", "False", str(script.parent), "kept"]
    assert "on stderr" in err


@pytest.mark.parametrize(("arguments", "code"), [(["3"], 3), (["raise", "0"], 1), (["die", "0"], 128 + signal.SIGKILL)])
def test_the_exit_code_comes_back(script: Path, address: dict[str, str], arguments: list[str], code: int) -> None:
    process = start(script, address, *arguments)
    process.communicate(timeout=120)
    assert process.returncode == code


def test_a_signal_reaches_the_job(script: Path, address: dict[str, str]) -> None:
    process = start(script, address, "sleep", "0")
    assert process.stdout is not None
    for line in process.stdout:
        if "ready" in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 7


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[socket.socket]:
    """Where a warm process will take jobs, at some time."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "slow"))
        listener.listen()
        yield listener


def test_a_signal_between_the_beginning_of_a_job_and_its_news_reaches_it(script: Path, slow: socket.socket) -> None:
    process = start(script, {warm.ADDRESS_VARIABLE: slow.getsockname()}, "0")
    connection, _ = slow.accept()
    with connection, subprocess.Popen(["sleep", "60"]) as job:
        assert connection.recv(1)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        connection.sendall(f"{job.pid}\n".encode())
        assert job.wait(timeout=30) == -signal.SIGTERM
        connection.sendall(b"7\n")
    process.communicate(timeout=30)
    assert process.returncode == 7


def test_a_signal_while_the_job_waits_ends_the_caller(script: Path, slow: socket.socket) -> None:
    process = start(script, {warm.ADDRESS_VARIABLE: slow.getsockname()}, "0")
    connection, _ = slow.accept()
    with connection:
        assert connection.recv(1)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM


def test_without_a_warm_process_the_caller_runs_the_job_itself(script: Path) -> None:
    process = start(script, {}, "0")
    process.communicate(timeout=30)
    assert process.returncode == 99


def test_nothing_is_started_when_nobody_asks() -> None:
    started = time.monotonic()
    with warm.server():
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        running = [Path(f"/proc/{c}/cmdline").read_bytes() for c in children if Path(f"/proc/{c}").exists()]
    assert sum(b"heldout.warm" in line for line in running) <= 1, "at most the one of the other tests"
    assert time.monotonic() - started < 2
