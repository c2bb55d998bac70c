"""Fits one configuration, once a seed, and leaves a record and an MLflow run of each fit."""

from __future__ import annotations

import logging
import os
import statistics
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from heldout.config.stages import Resume, TrainConfig
from heldout.data.store import Split, read_split
from heldout.data.subset import fixed_subset
from heldout.record import Record
from heldout.tracking import RunTracker, Tracking, connect
from heldout.tracking.errors import RunRefused
from heldout.training import stop
from heldout.training.errors import Diverged, Interrupted
from heldout.training.fitted import FitInputs, Fitted, LogMetrics
from heldout.training.identity import Identity, identify
from heldout.training.multirun import PARENT_VARIABLE
from heldout.training.outcome import Job, write_failure, write_outcome
from heldout.training.prepared import Prepared, find_or_prepare
from heldout.training.state import RunState

logger = logging.getLogger(__name__)


def train(config: TrainConfig) -> list[Record]:
    """Fits `config` once for each of its seeds; the command line, DVC, tests and sweeps all come through here.

    A seed whose loss diverges ends as a failed run, and the others go on.

    Returns:
        The records, in the order of the seeds, in `config.out`.

    Raises:
        UserError: the data, the tracking address or a combination of settings cannot be used.
        Interrupted: SIGINT or SIGTERM arrived; the same call goes on from the last checkpoint.
    """
    if config.out is None:
        raise ValueError("config.out is not set; expected the folder for the records")
    prepared = find_or_prepare(config.data, config.prepared)
    # before anything is begun: damaged data leave no trace
    data = _fit_inputs(config, prepared)
    identity = identify(config, prepared)
    state = RunState(identity.key)
    with stop.noting(), state.locked():
        if config.resume is Resume.never:
            state.discard()
        tracking = connect(config.tracking)
        _fit_all(config, prepared, data, identity, state, tracking)
        return [Record.load(path) for path in state.deliver(config.seeds, Path(config.out))]


def _fit_all(
    config: TrainConfig,
    prepared: Prepared,
    data: FitInputs,
    identity: Identity,
    state: RunState,
    tracking: Tracking,
) -> None:
    parent = _start(
        tracking, state, "parent", config.name, os.environ.get(PARENT_VARIABLE), identity, system_metrics=False
    )
    try:
        for seed in config.seeds:
            if state.is_done(seed):
                logger.info("%s  seed %d was finished before", config.name, seed)
                continue
            stop.obey()
            _fit_seed(config, prepared, data, identity, state, tracking, parent, seed)
        records = [Record.load(state.record_folder(seed)) for seed in config.seeds]
        _summarise(parent, records, identity)
    except BaseException as error:
        parent.finish("KILLED" if isinstance(error, (Interrupted, KeyboardInterrupt)) else "FAILED", error)
        raise


def _start(
    tracking: Tracking,
    state: RunState,
    key: str,
    name: str,
    parent: RunTracker | str | None,
    identity: Identity,
    tags: dict[str, str] | None = None,
    system_metrics: bool = True,
) -> RunTracker:
    start = partial(
        tracking.start_run,
        name,
        parent=parent,
        tags={**identity.tags, **(tags or {})},
        params=identity.content,
        system_metrics=system_metrics,
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


def _fit_seed(
    config: TrainConfig,
    prepared: Prepared,
    data: FitInputs,
    identity: Identity,
    state: RunState,
    tracking: Tracking,
    parent: RunTracker,
    seed: int,
) -> None:
    tags = {"heldout.kind": "run", "heldout.seed": str(seed)}
    run = _start(tracking, state, f"seed-{seed}", f"{config.name} seed {seed}", parent, identity, tags)
    job = Job(config, prepared, identity, seed, run, datetime.now(UTC))
    record = state.record_folder(seed)
    try:
        run.log_dataset(prepared.card, prepared.folder)
        fitted = fit(config, data, seed, state.seed_folder(seed), run.log_metrics, job.name)
        write_outcome(record, job, data, fitted)
    except Diverged as error:
        write_failure(record, job, str(error))
        run.finish("FAILED", error)
    except BaseException as error:
        killed = isinstance(error, (Interrupted, KeyboardInterrupt))
        run.finish("KILLED" if killed else "FAILED", error)
        raise
    else:
        run.finish("FINISHED")


def fit(config: TrainConfig, data: FitInputs, seed: int, folder: Path, log: LogMetrics, name: str) -> Fitted:
    """One fit of a network or a baseline, with what is imported only for it."""
    if config.is_baseline:
        from heldout.training.classical import fit_baseline

        return fit_baseline(config, data, seed, folder, log)
    from heldout.training.deep import fit_deep

    return fit_deep(config, data, seed, folder, log, name)


def _fit_inputs(config: TrainConfig, prepared: Prepared) -> FitInputs:
    train = read_split(prepared.folder, "train")
    validation = read_split(prepared.folder, "validation")
    # the same examples for every seed and family, so that gaps are comparable
    rows = fixed_subset(len(train), config.trainer.train_subset or len(validation))
    subset = Split(train.ids[rows], {name: values[rows] for name, values in train.inputs.items()}, train.target[rows])
    return FitInputs(prepared.card, train, subset, validation)


def _summarise(parent: RunTracker, records: list[Record], identity: Identity) -> None:
    finished = [record for record in records if record.info["status"] == "finished"]
    for metric in ("loss", "accuracy"):
        for split in ("train", "validation"):
            values = [_kept(record, split, metric) for record in finished]
            if values:
                # under the names of its runs, so that a table of the UI shows both in one column
                parent.log_metrics({f"kept/{split}_{metric}": statistics.fmean(values)}, 0)
            if len(values) > 1:
                parent.log_metrics({f"std/{split}_{metric}": statistics.stdev(values)}, 0)
    if finished:
        parent.log_metrics({"fit_seconds": statistics.fmean(record.info["fit_seconds"] for record in finished)}, 0)
    parent.log_text(identity.config_text, "config.yaml")
    parent.finish("FINISHED" if finished else "FAILED", None if finished else "all runs failed")


def _kept(record: Record, split: str, metric: str) -> float:
    history = record.history
    row = history[(history["epoch"] == record.info["kept_epoch"]) & (history["split"] == split)]
    return float(row[metric].iloc[0])
