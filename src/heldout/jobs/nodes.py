"""A job that trains over several nodes has a pod for each of them."""

from __future__ import annotations

from typing import Any

from heldout.jobs.errors import JobError

NODES_KEY = "trainer.nodes"


def with_nodes(job: dict[str, Any], overrides: list[str], example: list[str]) -> list[str]:
    """The overrides with the number of nodes, that of the example where none is given; the job gets as many pods.

    Raises:
        JobError: several nodes are asked for, and the job has one pod.
    """
    given = _nodes(overrides)
    nodes = _nodes(example) if given is None else given
    if nodes is None:
        return overrides
    spec = job["spec"]
    if spec.get("completionMode") == "Indexed":
        spec["completions"] = spec["parallelism"] = nodes
    elif nodes > 1:
        raise JobError(
            f"{NODES_KEY}={nodes}: this job has one pod. Expected a kind with a pod for each node, such as ddp, or "
            f"{NODES_KEY}=1."
        )
    return overrides if given is not None else [*overrides, f"{NODES_KEY}={nodes}"]


def _nodes(overrides: list[str]) -> int | None:
    values = [value for key, _, value in (one.partition("=") for one in overrides) if key == NODES_KEY]
    # what is no number is refused by the schema
    return int(values[-1]) if values and values[-1].isdecimal() else None
