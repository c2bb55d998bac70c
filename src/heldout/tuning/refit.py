"""The best trials, fitted again with seeds that no trial has had."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heldout.config.compose import to_stage
from heldout.config.stages import Resume, TrainConfig
from heldout.record import Record, find_records
from heldout.tuning.parent import tracking_environment
from heldout.tuning.workers import group_of_workers, in_bundle
from hydra_plugins.ray_tune_sweeper import Sweep, Trial, running_ray

logger = logging.getLogger(__name__)

FOLDER = "refits"


@dataclass(frozen=True)
class Refit:
    """A trial and the records of its fits with fresh seeds; those that diverged are among them."""

    trial: Trial
    folder: Path

    @property
    def records(self) -> list[Record]:
        return [Record.load(path) for path in find_records(self.folder)]


def refit_best(sweep: Sweep, config: TrainConfig, runs: Mapping[int, str]) -> list[Refit]:
    """Fits the best finished trials again, as many at once as the resources allow; those that are there are kept.

    Args:
        runs: in MLflow, by trial; a refit is nested below that of its trial.

    Raises:
        UserError: as a training.
    """
    settings = config.sweep.refit
    refits = [Refit(t, sweep.directory / FOLDER / f"trial-{t.job}") for t in sweep.ranked()[: settings.top]]
    missing = [refit for refit in refits if not _is_complete(refit, settings.seeds)]
    if not missing:
        return refits
    logger.info("%s: the best %d trials are fitted again with seeds %s", sweep.name, len(refits), settings.seeds)
    with running_ray(sweep.settings.cluster, sweep.settings.resources) as ray:
        here, environment = str(Path.cwd()), tracking_environment(config)
        groups = [group_of_workers(ray, config.sweep.resources) for _ in missing]
        jobs = [
            ray.remote(**_options(config, group))(_run).remote(
                _config_of(sweep, refit, settings.seeds), runs.get(refit.trial.job), here, environment
            )
            for refit, group in zip(missing, groups, strict=True)
        ]
        try:
            _await(ray, dict(zip(jobs, groups, strict=True)))
        except ray.exceptions.RayTaskError as error:
            raise error.as_instanceof_cause() from None
    return refits


def _options(config: TrainConfig, group: Any) -> dict[str, Any]:
    from heldout.training.errors import WorkerLost

    resources, restarts = config.sweep.resources, config.sweep.restarts
    options = {"num_cpus": resources.cpus, "num_gpus": resources.gpus, "max_retries": restarts}
    return options if group is None else {**options, "retry_exceptions": [WorkerLost], **in_bundle(group, 0)}


def _await(ray: Any, groups: dict[Any, Any]) -> None:
    """Waits for jobs, and frees what each held for its workers, so that the next can begin."""
    waiting = list(groups)
    while waiting:
        (done, *_), waiting = ray.wait(waiting)
        ray.get(done)
        if groups[done] is not None:
            ray.util.remove_placement_group(groups[done])


def _config_of(sweep: Sweep, refit: Refit, seeds: list[int]) -> TrainConfig:
    config = to_stage(sweep.compose(refit.trial.params))
    assert isinstance(config, TrainConfig)
    config.seeds = list(seeds)
    config.name = f"{sweep.name}-trial-{refit.trial.job}"
    config.out = str(refit.folder)
    config.resume = Resume.auto
    return config


def _is_complete(refit: Refit, seeds: list[int]) -> bool:
    if not refit.folder.is_dir():
        return False
    return {record.info["seed"] for record in refit.records} >= set(seeds)


def _run(config: Any, parent_run_id: str | None, working_directory: str, environment: Mapping[str, str]) -> None:
    """In a worker of Ray."""
    import os

    from heldout.logs import configure_logging
    from heldout.training.multirun import PARENT_VARIABLE
    from heldout.training.train import train
    from heldout.tuning.workers import trial_workers

    os.chdir(working_directory)
    os.environ.pop(PARENT_VARIABLE, None)
    os.environ.update(environment)
    if parent_run_id is not None:
        os.environ[PARENT_VARIABLE] = parent_run_id
    configure_logging()
    train(config, workers=trial_workers(config))
