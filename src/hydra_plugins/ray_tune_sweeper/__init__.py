"""A Hydra sweeper on Ray Tune: trials that are pruned, resumed and run in warm workers.

A task function tells how it does, so that a scheduler can stop it early; outside a sweep this does nothing:

    from hydra_plugins import ray_tune_sweeper

    for epoch in range(epochs):
        ...
        ray_tune_sweeper.report({"objective": loss})
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hydra_plugins.ray_tune_sweeper._callback import SweepCallback
    from hydra_plugins.ray_tune_sweeper._cluster import running_ray
    from hydra_plugins.ray_tune_sweeper._errors import ClusterAway, SweepError
    from hydra_plugins.ray_tune_sweeper._journal import Status, Trial
    from hydra_plugins.ray_tune_sweeper._session import Pruned, TrialInfo, WorkerDied, report, trial
    from hydra_plugins.ray_tune_sweeper._sweep import Sweep, plain

__all__ = [
    "ClusterAway",
    "Pruned",
    "Status",
    "Sweep",
    "SweepCallback",
    "SweepError",
    "Trial",
    "TrialInfo",
    "WorkerDied",
    "plain",
    "report",
    "running_ray",
    "trial",
]

# Hydra imports this package at every start of every application: what is in it, only when it is asked for
_MODULES = {
    "ClusterAway": "_errors",
    "Pruned": "_session",
    "Status": "_journal",
    "Sweep": "_sweep",
    "SweepCallback": "_callback",
    "SweepError": "_errors",
    "Trial": "_journal",
    "TrialInfo": "_session",
    "WorkerDied": "_session",
    "plain": "_sweep",
    "report": "_session",
    "running_ray": "_cluster",
    "trial": "_session",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
