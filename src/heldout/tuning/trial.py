"""The training of one trial, in a worker of the sweep."""

from __future__ import annotations

from pathlib import Path

from heldout.config.stages import TrainConfig
from heldout.config.sweep import SchedulerName
from heldout.errors import UserError
from heldout.training.errors import WorkerLost
from heldout.training.fitted import SaveCheckpoint
from heldout.training.train import train
from heldout.training.trial import Trial
from heldout.tuning.workers import trial_workers
from hydra_plugins import ray_tune_sweeper

CHANGING = (SchedulerName.pbt, SchedulerName.pb2)


class TrialFailed(UserError):
    """No fit of the trial came to its end."""


def run_trial(config: TrainConfig) -> None:
    """Fits the configuration of the trial that runs in this process, and reports to its sweep.

    Raises:
        TrialFailed: every fit diverged; with the cause.
        Pruned: the scheduler has ended the trial.
        WorkerDied: another worker of the trial is lost, and the trial to be begun again.
    """
    info = ray_tune_sweeper.trial()
    assert info is not None, "runs in a worker of a sweep"

    def report(epoch: int, metrics: dict[str, float], save: SaveCheckpoint | None) -> None:
        ray_tune_sweeper.report({**metrics, "step": epoch}, save)

    trial = Trial(
        number=info.job,
        sweep=info.sweep,
        params=info.params,
        report=report,
        pruned=ray_tune_sweeper.Pruned,
        folds=config.sweep.folds,
        checkpoint=info.checkpoint,
        start_epoch=info.step,
        log_models=config.sweep.models,
        changes_values=config.sweep.scheduler.name in CHANGING,
    )
    assert config.out is not None
    Path(config.out).mkdir(parents=True, exist_ok=True)
    try:
        records = train(config, trial, trial_workers(config))
    except WorkerLost as error:
        raise ray_tune_sweeper.WorkerDied(str(error)) from error
    if not any(record.info["status"] == "finished" for record in records):
        raise TrialFailed(str(records[0].info["error"]))
