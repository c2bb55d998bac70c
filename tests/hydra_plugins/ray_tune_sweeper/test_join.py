"""What a driver does when a call into Ray fails: because the head is gone, or for a reason of its own."""

from __future__ import annotations

import os
import subprocess
import sys

DRIVER = """
import socket, sys
from hydra_plugins.ray_tune_sweeper._join import watched

head = socket.create_server(("127.0.0.1", 0))
address = f"127.0.0.1:{head.getsockname()[1]}"
with watched(address, None, lambda: print("told", flush=True)):
    if sys.argv[1] == "gone":
        head.close()
    raise RuntimeError("a call failed")
"""


def _drive(head: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", DRIVER, head], capture_output=True, text=True, timeout=60, check=False)


def test_of_a_head_that_is_gone_it_ends_to_be_started_again() -> None:
    done = _drive("gone")
    assert done.returncode == os.EX_TEMPFAIL, done.stderr
    assert "is gone: this process ends, and the same command goes on" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == "told\n"


def test_of_a_head_that_answers_the_failure_is_said() -> None:
    done = _drive("answers")
    assert done.returncode == 1
    assert "RuntimeError: a call failed" in done.stderr
    assert done.stdout == ""
