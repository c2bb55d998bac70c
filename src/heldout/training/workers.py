"""The other processes of a fit on several workers: asked to take part, watched, and ended."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from heldout.config.stages import TrainConfig
from heldout.errors import UserError
from heldout.warm import LENGTH_BYTES, can_fork

LOOPBACK = "127.0.0.1"
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Group:
    """Where the workers of a fit find each other.

    address, port: of the store that the first opens. devices: workers that see the same GPUs, those of a node, and take
    one each; 1 where each sees its own alone.
    """

    address: str
    port: int
    size: int
    devices: int


@dataclass(frozen=True)
class Order:
    """What the other workers need to take part in a fit.

    folds, fold: of cross-validation. folder: the working folder. checkpoint: content of the file to go on from.
    backend: gloo or nccl. group: filled in when the first worker leads.
    """

    config: TrainConfig
    seed: int
    folds: int | None
    fold: int
    in_sweep: bool
    folder: str
    checkpoint: bytes | None
    backend: str
    group: Group | None = None


@dataclass(frozen=True)
class End:
    """How a worker ended its part: its process died, raised an error, or came to the end (no reason)."""

    died: bool
    reason: str


class Worker(Protocol):
    """A process that takes part in one fit after the other."""

    def begin(self, order: Order, rank: int) -> None:
        """Begins the part `rank` of an order."""

    def ended(self) -> End | None:
        """How the part that was begun last ended; None while it goes on."""

    def stop(self) -> None:
        """Ends that part, if it still goes on."""


@dataclass(frozen=True)
class Workers:
    """All workers of a fit but the first, which is the process that has this object.

    address: of this process, as the others can reach it. devices: as of a group.
    whole_gpus: whether each has a GPU to itself, where it has any.
    """

    others: Sequence[Worker]
    address: str
    devices: int
    whole_gpus: bool

    @property
    def size(self) -> int:
        return len(self.others) + 1


@dataclass(frozen=True)
class DataParallel:
    """The workers of a fit, and which fold it is of a cross-validated trial."""

    workers: Workers
    folds: int | None = None
    fold: int = 0


class WorkerProcess:
    """A worker on this machine: `python -m heldout.training.worker`, which forks a process for each fit.

    It imports torch once, from now on, and ends with the process that started it.
    """

    def __init__(self, address: str = LOOPBACK) -> None:
        self._address = address
        self._end: End | None = None
        self._has_ended = threading.Event()
        # nothing has begun
        self._has_ended.set()
        self._process = self._start()

    def begin(self, order: Order, rank: int) -> None:
        if self._process.poll() is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()
            self._process = self._start()
        self._end = None
        self._has_ended.clear()
        self._send(pickle.dumps((order, rank, self._address)))

    def ended(self) -> End | None:
        return self._end

    def stop(self) -> None:
        if self._has_ended.is_set():
            return
        self._send(b"")
        if not self._has_ended.wait(STOP_SECONDS):
            self._process.kill()
            self._has_ended.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "heldout.training.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # as this process found its modules
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        return process

    def _send(self, message: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(len(message).to_bytes(LENGTH_BYTES, "big") + message)
            self._process.stdin.flush()
        except BrokenPipeError:
            # its process has died, and the thread that listens says so
            self._has_ended.wait(STOP_SECONDS)

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._note(End(**json.loads(line)))
        code = process.wait()
        if not self._has_ended.is_set():
            self._note(End(died=True, reason=f"its process {of_exit(code)}"))

    def _note(self, end: End) -> None:
        self._end = end
        self._has_ended.set()


def of_exit(code: int) -> str:
    """What an exit code says, negative for a signal."""
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def local_workers(size: int) -> Workers:
    """Workers on this machine; their processes stay for the next fits of this one.

    Raises:
        UserError: processes cannot be forked here.
    """
    require_fork(f"trainer.devices={size}")
    while len(_local) < size - 1:
        _local.append(WorkerProcess())
    return Workers(_local[: size - 1], LOOPBACK, devices=size, whole_gpus=True)


def require_fork(given: str) -> None:
    """Raises UserError where this system cannot fork processes that have torch imported."""
    if not can_fork():
        raise UserError(f"{given}: training on several workers needs Linux; expected 1 on {sys.platform}.")


_local: list[WorkerProcess] = []


def unpack(message: bytes) -> tuple[Order, int, str]:
    """The order, the rank and the address of a message to a worker."""
    content: tuple[Order, int, str] = pickle.loads(message)  # noqa: S301 - from the process that started this one
    return content
