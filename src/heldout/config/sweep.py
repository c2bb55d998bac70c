"""Schema of the `sweep` and `cluster` groups: what `-m hydra/sweeper=ray_tune` searches, and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from heldout.config.training import Mode


class SearcherName(Enum):
    """Who chooses the configurations."""

    grid = "grid"  # every combination
    random = "random"  # independent draws
    tpe = "tpe"  # Bergstra et al. 2011, by Optuna
    cmaes = "cmaes"  # Hansen and Ostermeier 2001, by Optuna
    hyperopt = "hyperopt"  # TPE by HyperOpt


class SchedulerName(Enum):
    """Who decides which trials go on."""

    fifo = "fifo"  # all, to their end
    asha = "asha"  # Li et al. 2018: at each rung the best go on
    hyperband = "hyperband"  # Li et al. 2017: successive halving in brackets
    median = "median"  # Golovin et al. 2017: stops what is below the median
    pbt = "pbt"  # Jaderberg et al. 2017: the worst go on from the best, with other values
    pb2 = "pb2"  # Parker-Holder et al. 2020: the same with values chosen by a model
    resource_changing = "resource_changing"  # asha, with freed resources given to trials that still run


@dataclass
class SearcherConfig:
    name: SearcherName = SearcherName.random
    # the same seed and the same past draw the same configurations
    seed: int = 0
    # configurations drawn at random before a model of the past is used: tpe, cmaes, hyperopt
    startup_trials: int = 10


@dataclass
class SchedulerConfig:
    name: SchedulerName = SchedulerName.asha
    # epochs that every trial is given; with folds or several seeds: fits
    grace_epochs: int = 3
    # the best 1 / reduction_factor go on at each rung: asha, hyperband, resource_changing
    reduction_factor: float = 3.0
    # trials that must have come as far before any is stopped there: median
    min_trials: int = 3
    # epochs between two perturbations: pbt, pb2
    interval: int = 5
    # searched keys that may change within a trial; null takes every interval of real numbers: pbt, pb2
    mutate: list[str] | None = None
    # share of the population that is replaced: pbt, pb2
    quantile: float = 0.25


@dataclass
class ObjectiveConfig:
    """What a sweep improves: a validation metric at the epoch that a run would keep."""

    # loss or accuracy; of a regression loss, r2, rmse or mae
    metric: str = "loss"
    # which of two values is better: the lower, or the higher
    mode: Mode = Mode.min


@dataclass
class ResourcesConfig:
    """What one trial takes."""

    # CPUs of one trial, by Ray's count
    cpus: float = 1.0
    # a fraction lets several trials share a GPU
    gpus: float = 0.0
    # worker processes a trial, each with the resources above: data-parallel training
    workers: int = 1
    # trials at once; null takes as many as the resources allow
    max_concurrent: int | None = None


@dataclass
class RefitConfig:
    """What is done after a sweep, so that it does not fool itself."""

    # best trials that are fitted again with other seeds; 0 takes the sweep's word
    top: int = 3
    # seeds that no trial has had
    seeds: list[int] = field(default_factory=lambda: [1001, 1002, 1003, 1004, 1005])
    # open the test set, once, for the winner
    test: bool = True


@dataclass
class SweepConfig:
    """A search over configurations of one training."""

    # the same command with the same name goes on with the sweep
    name: str = "sweep"
    # searched keys, in Hydra's sweep syntax; keys of the command line come on top
    space: dict[str, Any] = field(default_factory=dict)
    # keys that are searched only when others have certain values: when: {model: [cnn]}, params: {model.width: '16,32'}
    conditions: list[Any] = field(default_factory=list)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    searcher: SearcherConfig = field(default_factory=SearcherConfig)
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    # trials in all, those of earlier starts included; null: 20, or the whole grid
    trials: int | None = None
    # no trial begins after so many seconds of the sweep
    seconds: float | None = None
    # longest time of one trial
    trial_seconds: float | None = None
    # times a trial is begun again after its worker died
    restarts: int = 3
    # cross-validation: each trial is fitted once a fold of train and validation together; null takes the split as it is
    folds: int | None = None
    # log the model of each trial to MLflow; its record has it in any case, and those of the refits are always logged
    models: bool = False
    resources: ResourcesConfig = field(default_factory=ResourcesConfig)
    refit: RefitConfig = field(default_factory=RefitConfig)
    # path or address (s3://bucket/folder) that all nodes share; null: the folder of the sweep
    storage: str | None = None


@dataclass
class ClusterConfig:
    """Where trials run."""

    # of a running Ray cluster; null starts Ray here
    address: str | None = None
    # CPUs that a Ray started here may use; null takes all
    cpus: int | None = None
    # join it as a node without CPUs and GPUs: for a machine, or a pod, that is no node of it
    join: bool = False
    # longest wait for the cluster to answer, and for the resources of one trial to appear
    wait_seconds: float = 0.0
