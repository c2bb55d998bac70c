"""Ray: started in this process, or joined; and whether it has what a trial needs."""

from __future__ import annotations

import itertools
import logging
import math
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from hydra_plugins.ray_tune_sweeper._config import Cluster, Resources
from hydra_plugins.ray_tune_sweeper._errors import ClusterAway, ClusterError, SettingError
from hydra_plugins.ray_tune_sweeper._join import joined_node, watched

log = logging.getLogger(__name__)

# for Ray's object store, which holds nothing but the task function
OBJECT_STORE_BYTES = 256 * 1024 * 1024
# least wait for a cluster to answer: it may be about to start
CONNECT_SECONDS = 15.0
# scheme of an address that goes by Ray's client server
CLIENT = "ray://"
QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
# modules that each of its workers imports first: a setting of Ray's core, spelled so
RAY_PRELOAD = "RAY_preload_python_modules"
# what every trial imports
WORKER_MODULES = ("ray.tune", "hydra_plugins.ray_tune_sweeper._trainable")
# what Ray and Tune do by default, and a sweep has no use for: they must be said before Ray is imported
SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # the journal says what was running; Tune's own copies of all trials would be written again and again
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),
    # SIGINT is for the process that drives the sweep
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_THRESHOLD_S": "60",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # the sweep says so itself, in a line and with the trial
    "RAY_DEDUP_LOGS_SKIP_REGEX": "A worker died or was killed while executing a task",
}


@contextmanager
def running_ray(
    cluster: Cluster, resources: Resources, modules: Sequence[str] = (), on_lost: Callable[[], None] = lambda: None
) -> Iterator[Any]:
    """The module `ray`, connected; what was started here ends with it.

    Args:
        modules: that the first workers import as soon as they are started, if they are started here.
        on_lost: called, in another thread, when a cluster that was joined is lost; then this process ends.

    Raises:
        ClusterAway: the cluster does not answer.
        ClusterError: no node of it has what one trial takes.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    for name, level in (("ray", logging.ERROR), ("ray.tune", logging.CRITICAL), ("ray.train", logging.ERROR)):
        logging.getLogger(name).setLevel(level)
    with ExitStack() as stack:
        if not ray.is_initialized():
            _connect(ray, cluster, modules, on_lost, stack)
        _check_resources(ray, cluster, resources)
        yield ray


def _connect(ray: Any, cluster: Cluster, modules: Sequence[str], on_lost: Callable[[], None], stack: ExitStack) -> None:
    if cluster.address is not None:
        _join(ray, cluster.address, cluster, on_lost, stack)
        return
    _let_preload(modules)
    ray.init(
        # not an address of the environment: that is `cluster.address`
        address="local",
        num_cpus=cluster.cpus,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        **QUIET,
    )
    stack.callback(ray.shutdown)
    _take_first_workers()


def _join(ray: Any, address: str, cluster: Cluster, on_lost: Callable[[], None], stack: ExitStack) -> None:
    node = None
    try:
        _wait_for_answer(address, ray.util.get_node_ip_address(), max(CONNECT_SECONDS, cluster.wait_seconds))
        if cluster.join:
            node = stack.enter_context(joined_node(address, OBJECT_STORE_BYTES))
        ray.init(address=address, **QUIET)
        stack.callback(ray.shutdown)
    except (OSError, RuntimeError, ValueError) as error:
        raise ClusterAway(
            f"hydra.sweeper.cluster.address={address}: there is no Ray cluster that answers "
            f"({str(error).splitlines()[0][:200]}). Start one (ray start --head), correct the address, or leave it out "
            "to run the trials here."
        ) from error
    if not address.startswith(CLIENT):
        stack.enter_context(watched(ray.get_runtime_context().gcs_address, node, on_lost))


def _wait_for_answer(address: str, here: str, seconds: float = CONNECT_SECONDS) -> None:
    """Returns when something listens there; `ray.init` alone would try for minutes."""
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if not port.isdigit():
        return
    # Ray takes the address of the network for that of the machine itself
    hosts = [host, here] if host in ("localhost", "127.0.0.1") else [host]
    give_up = time.monotonic() + seconds
    for attempt in itertools.count():
        try:
            socket.create_connection((hosts[attempt % len(hosts)], int(port)), timeout=CONNECT_SECONDS).close()
            return
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.5)


def _let_preload(modules: Sequence[str]) -> None:
    """Has the workers of a Ray that is about to be started import `modules` first."""
    from hydra_plugins.ray_tune_sweeper import _preload

    os.environ[_preload.VARIABLE] = ",".join([*WORKER_MODULES, *modules])
    os.environ[RAY_PRELOAD] = _preload.__name__


def _take_first_workers() -> None:
    """Has Tune give trials the workers that Ray started with itself.

    Tune asks for workers with an environment of their own, for a Lightning of old; those that are there already would
    never do.
    """
    from ray.tune.execution import class_cache

    class_cache.DEFAULT_ENV_VARS.clear()


def slots(resources: Resources) -> int:
    """How many trials may run at once, as far as the cluster is now."""
    import ray

    total = ray.cluster_resources()
    wanted = {"CPU": resources.cpus * resources.workers, "GPU": resources.gpus * resources.workers}
    count: int = min(math.floor(total.get(name, 0.0) / amount + 1e-6) for name, amount in wanted.items() if amount)
    most = resources.max_concurrent
    return max(1, count if most is None else min(count, most))


def check_settings(resources: Resources, restarts: int) -> None:
    """Raises SettingError where the resources of a trial are no resources."""
    rules = (
        ("resources.cpus", resources.cpus, resources.cpus >= 0, "0 or more"),
        ("resources.gpus", resources.gpus, resources.gpus >= 0, "0 or more"),
        ("resources.workers", resources.workers, resources.workers >= 1, "1 or more"),
        (
            "resources.max_concurrent",
            resources.max_concurrent,
            resources.max_concurrent is None or resources.max_concurrent >= 1,
            "1 or more, or null",
        ),
        ("restarts", restarts, restarts >= 0, "0 or more"),
    )
    for name, value, holds, expected in rules:
        if not holds:
            raise SettingError(f"hydra.sweeper.{name}={value}: expected {expected}.")
    if resources.cpus == 0 and resources.gpus == 0:
        raise SettingError(
            "hydra.sweeper.resources: a trial takes neither CPUs nor GPUs; expected one of them above 0."
        )
    if resources.gpus > 1 and resources.gpus != int(resources.gpus):
        raise SettingError(f"hydra.sweeper.resources.gpus={resources.gpus}: expected a whole number, or less than 1.")


def _check_resources(ray: Any, cluster: Cluster, resources: Resources) -> None:
    problem = _problem(ray, resources)
    if problem and cluster.wait_seconds:
        log.info("%s; waits up to %g seconds for nodes", problem, cluster.wait_seconds)
        problem = _problem_after_wait(ray, cluster, resources)
    if problem:
        waited = f" after {cluster.wait_seconds:g} seconds" if cluster.wait_seconds else ""
        raise ClusterError(
            f"{problem}{waited}. Ask for less below hydra.sweeper.resources, or, where nodes are added on demand, "
            "let the sweep wait for them: hydra.sweeper.cluster.wait_seconds."
        )


def _problem_after_wait(ray: Any, cluster: Cluster, resources: Resources) -> str | None:
    from ray.autoscaler.sdk import request_resources

    give_up = time.monotonic() + cluster.wait_seconds
    # nothing waits in Ray's queues yet: an autoscaler has to be told for what it is to add nodes
    request_resources(bundles=[{"CPU": resources.cpus, "GPU": resources.gpus}] * resources.workers)
    try:
        while (problem := _problem(ray, resources)) and time.monotonic() < give_up:
            time.sleep(1.0)
    finally:
        request_resources(bundles=[])
    return problem


def _problem(ray: Any, resources: Resources) -> str | None:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for name, key, wanted in (("GPUs", "GPU", resources.gpus), ("CPUs", "CPU", resources.cpus)):
        most = max((node.get(key, 0.0) for node in nodes), default=0.0)
        if wanted > most:
            return (
                f"hydra.sweeper.resources.{name.lower()}={wanted:g}: the Ray cluster has {len(nodes)} "
                f"node{'s' if len(nodes) != 1 else ''}, and none has more than {most:g} {name}"
            )
        total = sum(node.get(key, 0.0) for node in nodes)
        if wanted * resources.workers > total:
            return (
                f"hydra.sweeper.resources.workers={resources.workers} of {wanted:g} {name} each: the Ray cluster has "
                f"{total:g} {name} in all"
            )
    return None
