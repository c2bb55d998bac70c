"""Another node of a training than the first: its workers take part in the fits of the first. It writes nothing."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import time
from pathlib import Path
from typing import Any

from heldout.config.stages import TrainConfig
from heldout.training import stop
from heldout.training.errors import NodeDiffers, NodeLost, NodeMissing
from heldout.training.identity import identify
from heldout.training.inputs import fit_inputs
from heldout.training.link import Link, Message
from heldout.training.place import Place
from heldout.training.prepared import find_or_prepare
from heldout.training.workers import Group, Order, WorkerProcess, require_fork

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
RETRY_SECONDS = 1.0
CONNECT_SECONDS = 5.0


def take_part(config: TrainConfig, place: Place) -> int:
    """Serves the first node until that one has done all its fits; returns its exit code.

    Raises:
        NodeMissing: the first node does not answer in time.
        NodeLost: it is gone.
        NodeDiffers: it trains something else.
        Interrupted: SIGINT or SIGTERM arrived.
        UserError: the data cannot be used.
    """
    require_fork(f"trainer.nodes={place.nodes}")
    with stop.noting():
        # the first answers when it has its data, which may lie on a volume that all nodes share
        link = _connect(place, config.trainer.node_seconds)
        with contextlib.closing(link):
            prepared = find_or_prepare(config.data, config.prepared)
            fit_inputs(config, prepared, None, 0)
            link.send(Message("hello", {"rank": place.rank, "key": identify(config, prepared).key}))
            logger.info("node %d of %d has found the first, at %s", place.rank, place.nodes, place.meeting)
            return _Node(config, place, link).serve()


def _connect(place: Place, seconds: float) -> Link:
    give_up = time.monotonic() + seconds
    logger.info("node %d of %d looks for the first, at %s", place.rank, place.nodes, place.meeting)
    while True:
        stop.obey()
        try:
            return Link(socket.create_connection((place.host, place.port), timeout=CONNECT_SECONDS))
        except OSError as error:
            if time.monotonic() > give_up:
                raise NodeMissing(
                    f"node 0 did not answer node {place.rank} at {place.meeting} within {seconds:g} seconds "
                    f"(trainer.node_seconds): {error.strerror or error}. Start the same command there, with "
                    "HELDOUT_NODE_RANK=0; see whether it runs, and whether MASTER_ADDR and MASTER_PORT are right."
                ) from error
        time.sleep(RETRY_SECONDS)


class _Node:
    """The workers of this node."""

    def __init__(self, config: TrainConfig, place: Place, link: Link) -> None:
        self._config = config
        self._place = place
        self._link = link
        self._first_worker = place.rank * config.trainer.devices
        self._processes = [WorkerProcess(link.here) for _ in range(config.trainer.devices)]
        # the workers that take part in a fit now
        self._busy: set[int] = set()

    def serve(self) -> int:
        """Does what the first node says, until it says to leave; returns the exit code that it gives."""
        while True:
            stop.obey()
            self._tell_ends()
            if not select.select([self._link], [], [], LOOK_SECONDS)[0]:
                continue
            message = self._link.receive()
            if message is None:
                raise NodeLost(
                    f"node 0 at {self._place.meeting} is gone, and node {self._place.rank} ends with it. Start the "
                    "same command again on all nodes to go on from the last checkpoint."
                )
            if message.kind == "leave":
                return self._leave(message.content)
            if message.kind == "begin":
                self._begin(message)
            elif message.kind == "stop":
                self._process(message.content).stop()

    def _leave(self, content: dict[str, Any]) -> int:
        code, reason = int(content["code"]), str(content["reason"])
        if code == NodeDiffers.exit_code:
            raise NodeDiffers(reason)
        if code:
            logger.error("node 0 has ended: %s", reason)
        return code

    def _begin(self, message: Message) -> None:
        content = message.content
        devices = self._config.trainer.devices
        order = Order(
            config=self._config,
            seed=int(content["seed"]),
            folds=None,
            fold=0,
            in_sweep=False,
            folder=str(Path.cwd()),
            checkpoint=message.data if content["resumes"] else None,
            backend=str(content["backend"]),
            group=Group(str(content["address"]), int(content["port"]), int(content["size"]), devices),
        )
        self._process(content).begin(order, int(content["worker"]))
        self._busy.add(int(content["worker"]))

    def _process(self, content: dict[str, Any]) -> WorkerProcess:
        return self._processes[int(content["worker"]) - self._first_worker]

    def _tell_ends(self) -> None:
        for worker in sorted(self._busy):
            end = self._processes[worker - self._first_worker].ended()
            if end is not None:
                self._busy.discard(worker)
                content = {"worker": worker, "died": end.died, "reason": end.reason}
                # that the first is gone shows when it is read from
                with contextlib.suppress(OSError):
                    self._link.send(Message("ended", content))
