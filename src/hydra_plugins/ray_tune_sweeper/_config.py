"""Schema of `hydra.sweeper` for `hydra/sweeper=ray_tune`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hydra.core.config_store import ConfigStore


class Resume(Enum):
    """What to do when the folder holds an earlier start of the same sweep."""

    auto = "auto"  # keep what is finished, go on with what is not
    never = "never"  # move the earlier sweep aside and begin anew


class Mode(Enum):
    min = "min"
    max = "max"


@dataclass
class Objective:
    """What the sweep improves: a number that the task function reports or returns."""

    # the name under which it is reported; a number that the task function returns goes by this name too
    metric: str = "objective"
    mode: Mode = Mode.min


@dataclass
class Searcher:
    """How configurations are chosen."""

    # grid, random, tpe, cmaes or hyperopt
    name: str = "random"
    seed: int = 0
    # configurations drawn at random before a model of the past is used: tpe, cmaes, hyperopt
    startup_trials: int = 10


@dataclass
class Scheduler:
    """Which trials are stopped early, paused, or continued from another's checkpoint."""

    # fifo, asha, hyperband, median, pbt, pb2 or resource_changing
    name: str = "fifo"
    # reports after which a trial is at its end; asha and hyperband need to know
    max_steps: int = 100
    # reports that every trial is given: asha, median
    grace_steps: int = 1
    # the best 1 / reduction_factor go on at each rung: asha, hyperband
    reduction_factor: float = 3.0
    # trials that must have reported at a step before any is stopped there: median
    min_trials: int = 3
    # reports between two perturbations: pbt, pb2
    interval: int = 5
    # searched keys that may change within a trial; null takes every interval of real numbers: pbt, pb2
    mutate: list[str] | None = None
    # share of the population that is replaced: pbt, pb2
    quantile: float = 0.25


@dataclass
class Resources:
    """What one trial takes."""

    cpus: float = 1.0
    # a fraction lets several trials share a GPU
    gpus: float = 0.0
    # worker processes that a trial starts with Ray Train, each with the resources above; 1 starts none
    workers: int = 1
    # trials at once; null takes as many as the resources allow
    max_concurrent: int | None = None


@dataclass
class Cluster:
    """Where trials run."""

    # of a running Ray cluster; null starts Ray in this process
    address: str | None = None
    # CPUs that a Ray started here may use; null takes all
    cpus: int | None = None
    # start a node here that joins the cluster and has no CPUs or GPUs: for a machine, or a pod, that is no node of it
    join: bool = False
    # longest wait for the cluster to answer, and for the resources of one trial to appear, as on one that grows
    wait_seconds: float = 0.0


@dataclass
class RayTuneSweeperConf:
    _target_: str = "hydra_plugins.ray_tune_sweeper.ray_tune_sweeper.RayTuneSweeper"
    # name of the sweep; the same command with the same name goes on with it
    name: str = "${hydra.job.name}"
    # folder of the sweep; trials write below it, by job number
    directory: str = "multirun/${hydra.sweeper.name}"
    # searched keys: Hydra's sweep syntax by key, as on the command line
    params: dict[str, Any] = field(default_factory=dict)
    # keys that are searched only when others have certain values: when: {model: [cnn]}, params: {model.width: 16,32}
    conditions: list[Any] = field(default_factory=list)
    objective: Objective = field(default_factory=Objective)
    searcher: Searcher = field(default_factory=Searcher)
    scheduler: Scheduler = field(default_factory=Scheduler)
    # trials in all, those of earlier starts included; null: 20, or the whole grid
    trials: int | None = None
    # no trial begins after so many seconds of the sweep, earlier starts included
    seconds: float | None = None
    # longest time of one trial, from its last start
    trial_seconds: float | None = None
    # time between two checkpoints of a trial whose task gives them, to go on from after an interruption; null: none but
    # those that the scheduler needs
    checkpoint_seconds: float | None = 60.0
    # times a trial is begun again after its worker died
    restarts: int = 3
    resources: Resources = field(default_factory=Resources)
    cluster: Cluster = field(default_factory=Cluster)
    # path or address (s3://bucket/folder) that all nodes share, for checkpoints and, where the folder of the sweep is
    # not shared, outputs; null: the folder of the sweep
    storage: str | None = None
    resume: Resume = Resume.auto
    # keys of the application's config that may differ between two starts of a sweep
    ignore: list[str] = field(default_factory=list)
    # modules that the task function imports: workers do so while the sweep is prepared, if Ray is started for it
    preload: list[str] = field(default_factory=list)
    # objects that are told how the sweep goes, each `_target_`: a hydra_plugins.ray_tune_sweeper.SweepCallback
    callbacks: dict[str, Any] = field(default_factory=dict)


def register() -> None:
    """Puts the schema into Hydra's ConfigStore; again changes nothing."""
    ConfigStore.instance().store(
        group="hydra/sweeper", name="ray_tune", node=RayTuneSweeperConf, provider="ray_tune_sweeper"
    )
