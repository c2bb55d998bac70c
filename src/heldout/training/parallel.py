"""One fit on several workers: the first leads, the others follow until they are ended."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import psutil
import torch.distributed as dist
from torch.distributed import Store, TCPStore  # type: ignore[attr-defined]

from heldout.training import stop
from heldout.training.errors import WorkerFailed, WorkerLost
from heldout.training.workers import Group, Order, Workers

logger = logging.getLogger(__name__)

# longest time between two collectives: the first worker may wait for a scheduler or a server in between
TIMEOUT = timedelta(minutes=30)
LOOK_SECONDS = 1.0
JOIN_LOOK_SECONDS = 0.02
# between the failure of a collective and the news of who is gone
NEWS_SECONDS = 3.0
# after the death of a worker, for a collective to fail
GRACE_SECONDS = 20.0
INTERFACE_VARIABLE = "GLOO_SOCKET_IFNAME"


@contextmanager
def joined(store: Store, backend: str, rank: int, size: int, address: str) -> Iterator[None]:
    """Membership of the group; returns once all have joined."""
    with _interface(address):
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)
    try:
        yield
    finally:
        dist.destroy_process_group()


def store_of(group: Group) -> Store:
    """The store that the first worker of a group has opened."""
    return TCPStore(group.address, group.port, group.size, is_master=False, timeout=TIMEOUT)


@contextmanager
def leading(workers: Workers, order: Order) -> Iterator[None]:
    """Has the others take part, as the first worker; they are ended when this one leaves.

    Raises:
        WorkerLost: the process of a worker died.
        WorkerFailed: a worker raised an error.
    """
    listener = socket.create_server((workers.address, 0))
    port = listener.getsockname()[1]
    store = TCPStore(
        workers.address,
        port,
        workers.size,
        is_master=True,
        wait_for_workers=False,
        timeout=TIMEOUT,
        master_listen_fd=listener.detach(),
    )
    group = Group(workers.address, port, workers.size, workers.devices)
    order = replace(order, group=group)
    try:
        for rank, worker in enumerate(workers.others, start=1):
            worker.begin(order, rank)
        _await_all(store, workers)
        with joined(store, order.backend, 0, workers.size, workers.address), _watched(workers):
            try:
                yield
            except RuntimeError as error:
                _blame(error, workers)
                raise
            finally:
                _stop(workers)
    finally:
        _stop(workers)


def _stop(workers: Workers) -> None:
    for worker in workers.others:
        worker.stop()


def announce(store: Store, rank: int) -> None:
    """Tells the first worker that this one is about to join."""
    store.set(_ready(rank), "")


def _ready(rank: int) -> str:
    return f"ready/{rank}"


def _await_all(store: Store, workers: Workers) -> None:
    keys = [_ready(rank) for rank in range(1, workers.size)]
    while not store.check(keys):
        stop.obey()
        _raise_for(workers)
        time.sleep(JOIN_LOOK_SECONDS)


def _raise_for(workers: Workers) -> None:
    ends = {rank: worker.ended() for rank, worker in enumerate(workers.others, start=1)}
    for rank, end in ends.items():
        if end is not None and end.died:
            raise WorkerLost(
                f"worker {rank + 1} of {workers.size} is lost: {end.reason}. Start again to go on from the last "
                "checkpoint; where memory ran out, with fewer workers or a smaller trainer.batch_size."
            )
    for rank, end in ends.items():
        if end is not None and end.reason:
            raise WorkerFailed(f"worker {rank + 1} of {workers.size}: {end.reason}")


def _blame(error: RuntimeError, workers: Workers) -> None:
    """Raises what happened to another worker, if that is why a collective failed here."""
    give_up = time.monotonic() + NEWS_SECONDS
    while time.monotonic() < give_up and not _has_death(workers):
        time.sleep(JOIN_LOOK_SECONDS)
    try:
        _raise_for(workers)
    except (WorkerLost, WorkerFailed) as reason:
        raise reason from error


def _has_death(workers: Workers) -> bool:
    ends = [worker.ended() for worker in workers.others]
    return any(end is not None and end.died for end in ends)


@contextmanager
def _watched(workers: Workers) -> Iterator[None]:
    """Ends this process where a worker has died and no collective fails: on a GPU it would wait for ever."""
    left = threading.Event()

    def watch() -> None:
        while not left.wait(LOOK_SECONDS):
            if _has_death(workers) and not left.wait(GRACE_SECONDS):
                logger.critical("a worker has died, and this process waits for it; it ends, to be started again")
                os._exit(1)

    thread = threading.Thread(target=watch, name="workers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()


@contextmanager
def _interface(address: str) -> Iterator[None]:
    """Has gloo use the network interface of an address, while the environment does not say another.

    By itself it takes that of the host's name, which may be of no use between machines, or open to others.
    """
    names = [name for name, of in psutil.net_if_addrs().items() if any(a.address == address for a in of)]
    chooses = INTERFACE_VARIABLE not in os.environ and bool(names)
    if chooses:
        os.environ[INTERFACE_VARIABLE] = names[0]
    try:
        yield
    finally:
        if chooses:
            del os.environ[INTERFACE_VARIABLE]
