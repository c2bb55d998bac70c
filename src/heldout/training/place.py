"""Which node of a training this process is on, and where the first one is: from the environment.

The names are those of torchrun (MASTER_ADDR, MASTER_PORT) and of an Indexed Job of Kubernetes (JOB_COMPLETION_INDEX).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from heldout.training.errors import WrongPlace

RANK_VARIABLES = ("HELDOUT_NODE_RANK", "JOB_COMPLETION_INDEX")
HOST_VARIABLE, PORT_VARIABLE = "MASTER_ADDR", "MASTER_PORT"
# of torchrun
DEFAULT_PORT = 29500


@dataclass(frozen=True)
class Place:
    """rank: of this node, from 0. nodes: how many there are. host, port: where the first waits for the others."""

    rank: int
    nodes: int
    host: str
    port: int

    @property
    def meeting(self) -> str:
        return f"{self.host}:{self.port}"


def place_of(nodes: int) -> Place | None:
    """The place of this process in a training on so many nodes; None where there is one.

    Raises:
        WrongPlace: the environment does not say it.
    """
    if nodes == 1:
        return None
    rank = next((os.environ[name] for name in RANK_VARIABLES if name in os.environ), "")
    if not rank.isdecimal() or int(rank) >= nodes:
        raise WrongPlace(
            f"trainer.nodes={nodes}, and {' or '.join(RANK_VARIABLES)} is {rank or 'not set'}: expected the rank of "
            f"this node, from 0 to {nodes - 1}, different on each."
        )
    host, port = os.environ.get(HOST_VARIABLE, ""), os.environ.get(PORT_VARIABLE, str(DEFAULT_PORT))
    if not host or not port.isdecimal():
        raise WrongPlace(
            f"trainer.nodes={nodes}, and {HOST_VARIABLE} is {host or 'not set'}, {PORT_VARIABLE} {port}: expected the "
            "address of node 0, as every node reaches it, and a port that is free there."
        )
    return Place(int(rank), nodes, host, int(port))
