"""The workers of a trial, one in each bundle of its placement group.

Ray Train's own trainer would ask the cluster for resources of its own, beside those that the trial holds, and wait for
them for ever where trials hold all there are.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from heldout.config.stages import TrainConfig
from heldout.config.sweep import ResourcesConfig
from heldout.training.workers import End, Order, WorkerProcess, Workers, require_fork

# a worker that does not answer for so long is lost
ANSWER_SECONDS = 60.0


def trial_workers(config: TrainConfig) -> Workers | None:
    """The workers of the trial, or the refit, that runs in this process of Ray; None where it has one.

    They are kept for the next trial in this process, which has the same resources.
    """
    resources = config.sweep.resources
    if resources.workers == 1 or config.is_baseline:
        return None
    require_fork(f"sweep.resources.workers={resources.workers}")
    import ray

    if not all(worker.is_alive() for worker in _kept):
        _kept.clear()
    if not _kept:
        _kept.extend(_RayWorker(bundle, resources.cpus, resources.gpus) for bundle in range(1, resources.workers))
    return Workers(
        list(_kept),
        ray.util.get_node_ip_address(),
        devices=1,
        whole_gpus=resources.gpus >= 1,
    )


def group_of_workers(ray: Any, resources: ResourcesConfig) -> Any:
    """A placement group such as a trial has, with a bundle a worker; None where one worker needs none."""
    if resources.workers == 1:
        return None
    bundle = {name: amount for name, amount in (("CPU", resources.cpus), ("GPU", resources.gpus)) if amount}
    return ray.util.placement_group([bundle] * resources.workers)


def in_bundle(group: Any, bundle: int) -> dict[str, Any]:
    """The options by which Ray puts a task or an actor into a bundle."""
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    strategy = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=bundle)
    return {"scheduling_strategy": strategy}


class _Host:
    """In an actor of Ray: a worker process on its node, with its GPUs."""

    def __init__(self) -> None:
        import ray

        self._worker = WorkerProcess(ray.util.get_node_ip_address())

    def begin(self, order: Order, rank: int) -> None:
        self._worker.begin(order, rank)

    def ended(self) -> dict[str, Any] | None:
        end = self._worker.ended()
        return None if end is None else asdict(end)

    def stop(self) -> None:
        self._worker.stop()


class _RayWorker:
    """A worker in a bundle of the placement group that this process is in."""

    def __init__(self, bundle: int, cpus: float, gpus: float) -> None:
        import ray

        group = ray.util.get_current_placement_group()
        assert group is not None, "runs in a trial of a sweep, or a refit"
        host = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0, **in_bundle(group, bundle))(_Host)
        self._host: Any = host.remote()
        self._lost: End | None = None

    def is_alive(self) -> bool:
        self._ask("ended")
        return self._lost is None

    def begin(self, order: Order, rank: int) -> None:
        self._ask("begin", order, rank)

    def ended(self) -> End | None:
        end = self._ask("ended")
        return self._lost if end is None else End(**end)

    def stop(self) -> None:
        self._ask("stop")

    def _ask(self, name: str, *arguments: Any) -> Any:
        import ray

        if self._lost is not None:
            return None
        try:
            return ray.get(getattr(self._host, name).remote(*arguments), timeout=ANSWER_SECONDS)
        except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError) as error:
            self._lost = End(died=True, reason=str(error).strip().splitlines()[0])
            return None


_kept: list[_RayWorker] = []
