"""A cluster that runs elsewhere: the node by which this machine is one of its, and what is done when it is lost."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

# what `ray start` says when its node is up
STARTED = "Ray runtime started"
START_SECONDS = 120.0
STOP_SECONDS = 15.0
LOOK_SECONDS = 0.2
# a head that has not answered for so long is gone; before Ray itself ends this process without a word
LOST_SECONDS = 10.0
PROBE_SECONDS = 2.0
# in which those that are told of it may end what they had begun
FAREWELL_SECONDS = 30.0
# sysexits.h: a failure that passes, the same command may be given again
EXIT_CODE = os.EX_TEMPFAIL


@contextmanager
def joined_node(address: str, object_store_bytes: int) -> Iterator[subprocess.Popen[bytes]]:
    """A node of Ray on this machine, without CPUs or GPUs of its own, that ends with the context; its process.

    Raises:
        RuntimeError: it does not come up; the last it said.
    """
    options = ("--num-cpus=0", "--num-gpus=0", f"--object-store-memory={object_store_bytes}", "--disable-usage-stats")
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={address}", "--block", *options]
    with tempfile.TemporaryDirectory(prefix="ray-node-") as folder:
        output = Path(folder) / "output"
        with output.open("wb") as file:
            # an interrupt is for this process, which still needs the node to stop its trials
            node = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            _await_start(node, output)
            yield node
        finally:
            _end(node)


def _await_start(node: subprocess.Popen[bytes], output: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while STARTED not in (said := output.read_text(errors="replace")):
        if node.poll() is not None or time.monotonic() > give_up:
            lines = [line for line in said.splitlines() if line.strip()]
            raise RuntimeError(lines[-1] if lines else f"ray start ended with exit code {node.returncode}")
        time.sleep(LOOK_SECONDS)


def _end(node: subprocess.Popen[bytes]) -> None:
    node.terminate()
    try:
        node.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        node.kill()
        node.wait()


@contextmanager
def watched(address: str, node: subprocess.Popen[bytes] | None, on_lost: Callable[[], None]) -> Iterator[None]:
    """Ends this process with EXIT_CODE when the cluster is lost: calls into Ray would wait, and then end it silently.

    Args:
        address: host and port of its head.
        node: of the cluster, on this machine, if it was started here.
        on_lost: told before, in another thread than this; it may take FAREWELL_SECONDS.
    """
    host, _, port = address.rpartition(":")
    # of this head: another one by that name knows nothing of this sweep
    head = (socket.gethostbyname(host), int(port))
    left = threading.Event()

    def watch() -> None:
        answered = time.monotonic()
        while not left.wait(PROBE_SECONDS):
            if not _runs(node):
                return _leave(f"the node of Ray cluster {address} here has ended", node, on_lost)
            if _answers(head):
                answered = time.monotonic()
            elif time.monotonic() - answered > LOST_SECONDS and not left.is_set():
                return _leave(f"the head of Ray cluster {address} is gone", node, on_lost)
        return None

    thread = threading.Thread(target=watch, name="ray-head", daemon=True)
    thread.start()
    try:
        yield
    except Exception as error:
        # a call into Ray may fail before it is certain that the head is gone; then the thread ends this process
        if not _answers(head):
            log.info("Ray cluster %s does not answer, and a call failed: %s", address, error)
        while not (_runs(node) and _answers(head)):
            time.sleep(PROBE_SECONDS)
        raise
    finally:
        left.set()
        thread.join()


def _runs(node: subprocess.Popen[bytes] | None) -> bool:
    return node is None or node.poll() is None


def _answers(head: tuple[str, int]) -> bool:
    try:
        socket.create_connection(head, timeout=PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def _leave(reason: str, node: subprocess.Popen[bytes] | None, on_lost: Callable[[], None]) -> None:
    try:
        log.critical("%s: this process ends, and the same command goes on with the sweep", reason)
        farewell = threading.Thread(target=on_lost, daemon=True)
        farewell.start()
        farewell.join(FAREWELL_SECONDS)
        if node is not None:
            # asked to end, it would first look for the head
            with contextlib.suppress(ProcessLookupError):
                os.killpg(node.pid, signal.SIGKILL)
        logging.shutdown()
    finally:
        os._exit(EXIT_CODE)
