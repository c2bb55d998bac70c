"""The first node of a training on several: it waits for the others, and has them take part in its fits."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from heldout.errors import DISRUPTED_EXIT_CODE, UserError
from heldout.training import stop
from heldout.training.errors import Interrupted, NodeDiffers, NodeMissing, WrongPlace
from heldout.training.link import Link, Message
from heldout.training.place import Place
from heldout.training.workers import STOP_SECONDS, End, Order, Worker, WorkerProcess, Workers, require_fork

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2


@contextmanager
def gathered(place: Place, devices: int, seconds: float, key: str) -> Iterator[Workers]:
    """All workers of a training over nodes, as the process of the first one; the others end with the context.

    Args:
        devices: workers of each node.
        seconds: longest wait for the nodes.
        key: of the training's identity, which has to be that of every node.

    Raises:
        NodeMissing: a node has not come in time.
        NodeDiffers: a node is to train something else.
    """
    require_fork(f"trainer.nodes={place.nodes}")
    nodes = _await_nodes(place, seconds, key)
    address = nodes[1].link.here
    others: list[Worker] = [WorkerProcess(address) for _ in range(devices - 1)]
    for rank, node in sorted(nodes.items()):
        others += [_Remote(node, worker) for worker in range(rank * devices, (rank + 1) * devices)]
    try:
        yield Workers(others, address, devices=devices, whole_gpus=True)
    except BaseException as error:
        _dismiss(nodes, _code_of(error), str(error))
        raise
    _dismiss(nodes, 0, "")


def _code_of(error: BaseException) -> int:
    if isinstance(error, UserError | Interrupted):
        return error.exit_code
    return DISRUPTED_EXIT_CODE


def _dismiss(nodes: dict[int, _Node], code: int, reason: str) -> None:
    for node in nodes.values():
        # one that is gone needs no word
        with contextlib.suppress(OSError):
            node.link.send(Message("leave", {"code": code, "reason": reason[:2000]}))
            node.link.finish()


class _Node:
    """Another node: what it says is heard by a thread. `ends` by worker; `rank` and `key` when it has said them."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.rank: int | None = None
        self.key: str | None = None
        self.lost = threading.Event()
        self.ends: dict[int, End] = {}
        self.news = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while (message := self.link.receive()) is not None:
            with self.news:
                if message.kind == "hello":
                    self.rank, self.key = int(message.content["rank"]), str(message.content["key"])
                elif message.kind == "ended":
                    end = End(bool(message.content["died"]), str(message.content["reason"]))
                    self.ends[int(message.content["worker"])] = end
                self.news.notify_all()
        with self.news:
            self.lost.set()
            self.news.notify_all()
        self.link.close()


class _Remote:
    """A worker on another node."""

    def __init__(self, node: _Node, worker: int) -> None:
        self._node = node
        self._worker = worker

    def begin(self, order: Order, rank: int) -> None:
        assert order.group is not None
        with self._node.news:
            self._node.ends.pop(rank, None)
        content = {
            **{"worker": rank, "seed": order.seed, "backend": order.backend},
            **{"address": order.group.address, "port": order.group.port, "size": order.group.size},
            "resumes": order.checkpoint is not None,
        }
        self._send(Message("begin", content, order.checkpoint or b""))

    def ended(self) -> End | None:
        node = self._node
        if node.lost.is_set():
            return End(died=True, reason=f"node {node.rank} at {node.link.there} is gone")
        return node.ends.get(self._worker)

    def stop(self) -> None:
        if self.ended() is None:
            self._send(Message("stop", {"worker": self._worker}))
            with self._node.news:
                self._node.news.wait_for(lambda: self.ended() is not None, 2 * STOP_SECONDS)

    def _send(self, message: Message) -> None:
        # that it is gone is heard by the thread
        with contextlib.suppress(OSError):
            self._node.link.send(message)


def _await_nodes(place: Place, seconds: float, key: str) -> dict[int, _Node]:
    give_up = time.monotonic() + seconds
    came: list[_Node] = []
    logger.info("node 0 of %d waits for the others at %s", place.nodes, place.meeting)
    with _listening(place, give_up) as listener:
        while len(nodes := _by_rank(came, place, key)) < place.nodes - 1:
            stop.obey()
            if time.monotonic() > give_up:
                missing = [str(rank) for rank in range(1, place.nodes) if rank not in nodes]
                raise NodeMissing(
                    f"node {' and node '.join(missing)} of {place.nodes} did not come to {place.meeting} within "
                    f"{seconds:g} seconds (trainer.node_seconds). Start the same command there, with its rank in "
                    "HELDOUT_NODE_RANK; see whether it runs, and whether it reaches this address."
                )
            with contextlib.suppress(TimeoutError):
                came.append(_Node(Link(listener.accept()[0])))
    return nodes


def _by_rank(came: list[_Node], place: Place, key: str) -> dict[int, _Node]:
    """The nodes that are there and have said who they are; of two that say the same, the later: it was restarted."""
    nodes = {}
    for node in came:
        if node.rank is None or node.lost.is_set() or not 0 < node.rank < place.nodes:
            continue
        if node.key != key:
            reason = (
                f"node {node.rank} at {node.link.there} is to train {node.key}, and node 0 {key}: expected the same "
                "command, data and version of Heldout on every node."
            )
            _dismiss({node.rank: node}, NodeDiffers.exit_code, reason)
            raise NodeDiffers(reason)
        nodes[node.rank] = node
    return nodes


@contextmanager
def _listening(place: Place, give_up: float) -> Iterator[socket.socket]:
    while True:
        try:
            listener = socket.create_server((place.host, place.port))
            break
        # the name of a pod may not be known yet
        except socket.gaierror as error:
            problem: OSError = error
        except OSError as error:
            raise WrongPlace(
                f"MASTER_ADDR={place.host}, MASTER_PORT={place.port}: node 0 cannot listen there ({error.strerror}). "
                "Expected an address of this machine, and a port that is free."
            ) from error
        stop.obey()
        if time.monotonic() > give_up:
            raise WrongPlace(f"MASTER_ADDR={place.host}: {problem.strerror}. Expected the address of node 0.")
        time.sleep(LOOK_SECONDS)
    listener.settimeout(LOOK_SECONDS)
    with listener:
        yield listener
