"""Fits one configuration, once a seed, and leaves a record and an MLflow run of each fit."""

from __future__ import annotations

import logging
import os
import shutil
import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from heldout.config.stages import Resume, TrainConfig
from heldout.config.training import InsideConfig
from heldout.record import Record
from heldout.tracking import RunTracker, Tracking, connect
from heldout.tracking.errors import RunRefused
from heldout.training import stop
from heldout.training.errors import Diverged, Interrupted, WrongPlace
from heldout.training.first_node import gathered
from heldout.training.fitted import FitInputs, Fitted, LogMetrics, ReportEpoch
from heldout.training.folds import check_folds
from heldout.training.identity import Identity, identify
from heldout.training.inputs import fit_inputs
from heldout.training.multirun import PARENT_VARIABLE
from heldout.training.outcome import Job, write_failure, write_outcome
from heldout.training.place import place_of
from heldout.training.prepared import Prepared, find_or_prepare
from heldout.training.state import RunState
from heldout.training.trial import OUTCOME_TAG, TRIAL_PATIENCE, Fit, Trial, fits_of
from heldout.training.workers import DataParallel, Workers, local_workers

logger = logging.getLogger(__name__)

# of a trial, in its own folder
TRIAL_STATE = "state"


@dataclass(frozen=True)
class _Work:
    """A configuration to be fitted, and with what."""

    config: TrainConfig
    prepared: Prepared
    identity: Identity
    state: RunState
    tracking: Tracking
    trial: Trial | None
    workers: Workers | None

    @property
    def fits(self) -> list[Fit]:
        return fits_of(self.config.seeds, self.trial)

    @property
    def is_one_run(self) -> bool:
        """Whether one run in MLflow says all: that of a trial that fits once."""
        return self.trial is not None and len(self.fits) == 1


def train(config: TrainConfig, trial: Trial | None = None, workers: Workers | None = None) -> list[Record]:
    """Fits `config` once for each of its seeds; the command line, DVC, tests and sweeps all come through here.

    A seed whose loss diverges ends as a failed run, and the others go on.

    Args:
        trial: what a sweep wants to be told; without, the training stands for itself.
        workers: that share each fit with this process; without, there are as many as `trainer.devices` says, here and
            on each of `trainer.nodes`, of which this is the first.

    Returns:
        The records, in the order of the seeds, and of the folds of a cross-validated trial, in `config.out`.

    Raises:
        UserError: the data, the tracking address or a combination of settings cannot be used.
        Interrupted: SIGINT or SIGTERM arrived; the same call goes on from the last checkpoint.
    """
    if config.out is None:
        raise ValueError("config.out is not set; expected the folder for the records")
    if trial is not None and trial.folds is not None:
        check_folds(config.data.split.method, trial.folds)
    prepared = find_or_prepare(config.data, config.prepared)
    # before anything is begun: damaged data leave no trace
    fit_inputs(config, prepared, _folds(trial), 0)
    identity = identify(config, prepared)
    # a trial is known by its folder: its values may change while it runs
    state = RunState(identity.key) if trial is None else RunState(TRIAL_STATE, Path(config.out))
    with stop.noting(), state.locked(0.0 if trial is None else TRIAL_PATIENCE):
        if config.resume is Resume.never and trial is None:
            state.discard()
        with _workers(config, identity.key, workers) as all_workers:
            # the sweep of a trial has reached the store already
            tracking = connect(config.tracking, patient=trial is not None)
            work = _Work(config, prepared, identity, state, tracking, trial, all_workers)
            _fit_all(work)
        return [Record.load(path) for path in state.deliver([fit.name for fit in work.fits], Path(config.out))]


@contextmanager
def _workers(config: TrainConfig, key: str, given: Workers | None) -> Iterator[Workers | None]:
    if given is not None or config.is_baseline:
        yield given
        return
    place, devices = place_of(config.trainer.nodes), config.trainer.devices
    if place is None:
        yield local_workers(devices) if devices > 1 else None
        return
    if place.rank > 0:
        raise WrongPlace(
            f"trainer.nodes={place.nodes}, and this is node {place.rank}: only the stage train runs on several nodes. "
            "Expected trainer.nodes=1."
        )
    with gathered(place, devices, config.trainer.node_seconds, key) as workers:
        yield workers


def _fit_all(work: _Work) -> None:
    parent = None if work.is_one_run else _start_parent(work)
    records: list[Record] = []
    try:
        for number, fit in enumerate(work.fits, start=1):
            if work.state.is_done(fit.name):
                logger.info("%s  %s was finished before", work.config.name, fit.title)
            else:
                stop.obey()
                _fit_once(work, parent, fit)
            records.append(Record.load(work.state.record_folder(fit.name)))
            if work.trial is not None and not work.is_one_run:
                _report_mean(work.trial, number, records)
        if parent is not None:
            _summarise(parent, records, work)
    except BaseException as error:
        if parent is not None:
            _break_off(parent, error, work.trial)
        raise


def _start_parent(work: _Work) -> RunTracker:
    trial = work.trial
    tags = {"heldout.kind": "trial", **trial.tags} if trial else {}
    name = f"trial {trial.number}" if trial else work.config.name
    return _start(work, "parent", name, os.environ.get(PARENT_VARIABLE), tags, system_metrics=False)


def _start(
    work: _Work,
    key: str,
    name: str,
    parent: RunTracker | str | None,
    tags: Mapping[str, str],
    system_metrics: bool = True,
) -> RunTracker:
    state, trial = work.state, work.trial
    start = partial(
        work.tracking.start_run,
        name,
        parent=parent,
        tags={**work.identity.tags, **tags},
        params=work.identity.content,
        system_metrics=system_metrics,
        # a run is found again even when its process was killed before it could note its id
        token=state.token(key) if trial is None else f"{os.environ.get(PARENT_VARIABLE)}/{trial.number}/{key}",
    )
    try:
        tracker = start(resume_run_id=state.run_id(key))
    except RunRefused as error:
        if state.run_id(key) is None:
            raise
        logger.warning("%s; goes on as a new run", error)
        tracker = start()
    state.remember_run(key, tracker.run_id)
    return tracker


def _start_fit(work: _Work, parent: RunTracker | None, fit: Fit) -> RunTracker:
    tags = {"heldout.kind": "run", "heldout.seed": str(fit.seed)}
    trial = work.trial
    if trial is None or parent is not None:
        return _start(work, fit.name, f"{work.config.name} {fit.title}", parent, tags)
    tags |= {"heldout.kind": "trial", **trial.tags}
    run = _start(work, fit.name, f"trial {trial.number}", os.environ.get(PARENT_VARIABLE), tags)
    run.set_tags({OUTCOME_TAG: "running"})
    return run


def _fit_once(work: _Work, parent: RunTracker | None, fit: Fit) -> None:
    run = _start_fit(work, parent, fit)
    job = Job(work.config, work.prepared, work.identity, fit.seed, run, datetime.now(UTC), fit.fold)
    record, folder = work.state.record_folder(fit.name), work.state.fit_folder(fit.name)
    trial = work.trial
    try:
        run.log_dataset(work.prepared.card, work.prepared.folder)
        data = fit_inputs(work.config, work.prepared, _folds(trial), fit.fold or 0)
        report = None
        if trial is not None and work.is_one_run:
            _take_up(trial, folder, run)
            report = trial.report
        parallel = _parallel(work, fit)
        config = work.config if trial is None else _not_looked_into(work.config)
        fitted = fit_one(config, data, fit.seed, folder, run.log_metrics, job.name, report, parallel)
        write_outcome(record, job, data, fitted, log_model=trial is None or trial.log_models)
    except Diverged as error:
        write_failure(record, job, str(error))
        _break_off(run, error, trial)
    except BaseException as error:
        _break_off(run, error, trial)
        raise
    else:
        if trial is not None:
            run.set_tags({OUTCOME_TAG: "finished"})
        run.finish("FINISHED")


def _not_looked_into(config: TrainConfig) -> TrainConfig:
    """A sweep asks what a trial reaches, and should pay for nothing else."""
    return replace(config, trainer=replace(config.trainer, inside=InsideConfig(looks=0)))


def _take_up(trial: Trial, folder: Path, run: RunTracker) -> None:
    """Goes on from the checkpoint that the sweep keeps of this trial, or of the one whose state it takes over."""
    if trial.checkpoint is not None:
        shutil.copytree(trial.checkpoint, folder, dirs_exist_ok=True)
    if trial.changes_values:
        numbers = {key: value for key, value in trial.params.items() if isinstance(value, int | float)}
        run.log_metrics({f"searched/{key}": float(value) for key, value in numbers.items()}, trial.start_epoch)


def _break_off(run: RunTracker, error: BaseException, trial: Trial | None) -> None:
    if trial is not None and isinstance(error, trial.pruned):
        run.set_tags({OUTCOME_TAG: "pruned"})
        run.finish("KILLED")
        return
    killed = isinstance(error, (Interrupted, KeyboardInterrupt))
    if trial is not None:
        run.set_tags({OUTCOME_TAG: "interrupted" if killed else "failed"})
    run.finish("KILLED" if killed else "FAILED", error)


def _report_mean(trial: Trial, number: int, records: list[Record]) -> None:
    finished = [record for record in records if record.info["status"] == "finished"]
    if finished:
        values = {
            metric: statistics.fmean(record.kept("validation", metric) for record in finished)
            for metric in finished[0].measured
        }
        trial.report(number, values, None)


def fit_one(
    config: TrainConfig,
    data: FitInputs,
    seed: int,
    folder: Path,
    log: LogMetrics,
    name: str,
    report: ReportEpoch | None = None,
    parallel: DataParallel | None = None,
) -> Fitted:
    """One fit of a network or a baseline, with what is imported only for it."""
    if config.is_baseline:
        from heldout.training.classical import fit_baseline

        return fit_baseline(config, data, seed, folder, log, report)
    from heldout.training.deep import fit_deep

    return fit_deep(config, data, seed, folder, log, name, report, parallel)


def _folds(trial: Trial | None) -> int | None:
    return None if trial is None else trial.folds


def _parallel(work: _Work, fit: Fit) -> DataParallel | None:
    return None if work.workers is None else DataParallel(work.workers, _folds(work.trial), fit.fold or 0)


def _summarise(parent: RunTracker, records: list[Record], work: _Work) -> None:
    finished = [record for record in records if record.info["status"] == "finished"]
    for metric in finished[0].measured if finished else ():
        for split in ("train", "validation"):
            values = [record.kept(split, metric) for record in finished]
            if values:
                # under the names of its runs, so that a table of the UI shows both in one column
                parent.log_metrics({f"kept/{split}_{metric}": statistics.fmean(values)}, 0)
            if len(values) > 1:
                parent.log_metrics({f"std/{split}_{metric}": statistics.stdev(values)}, 0)
    if finished:
        parent.log_metrics({"fit_seconds": statistics.fmean(record.info["fit_seconds"] for record in finished)}, 0)
    parent.log_text(work.identity.config_text, "config.yaml")
    if work.trial is not None:
        parent.set_tags({OUTCOME_TAG: "finished" if finished else "failed"})
    parent.finish("FINISHED" if finished else "FAILED", None if finished else "all runs failed")
