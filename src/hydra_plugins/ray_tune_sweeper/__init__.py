"""A Hydra sweeper on Ray Tune: trials that are pruned, resumed and run in warm workers.

A task function tells how it does, so that a scheduler can stop it early; outside a sweep this does nothing:

    from hydra_plugins import ray_tune_sweeper

    for epoch in range(epochs):
        ...
        ray_tune_sweeper.report({"objective": loss})
"""

from hydra_plugins.ray_tune_sweeper._callback import SweepCallback
from hydra_plugins.ray_tune_sweeper._cluster import running_ray
from hydra_plugins.ray_tune_sweeper._errors import SweepError
from hydra_plugins.ray_tune_sweeper._journal import Status, Trial
from hydra_plugins.ray_tune_sweeper._session import Pruned, TrialInfo, report, trial
from hydra_plugins.ray_tune_sweeper._sweep import Sweep, plain

__all__ = [
    "Pruned",
    "Status",
    "Sweep",
    "SweepCallback",
    "SweepError",
    "Trial",
    "TrialInfo",
    "plain",
    "report",
    "running_ray",
    "trial",
]
