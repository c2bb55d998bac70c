"""Runs a study: its trainings, or what is left of them, one look at the test set for each, and what they say."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from heldout.analysis.study import Entry, StudyResult
from heldout.config.stages import EvaluateConfig, StudyRunConfig
from heldout.errors import RUNS_FAILED
from heldout.record import Record, find_records
from heldout.report.study_page import write_study_report
from heldout.studies.inference import Timings
from heldout.studies.plan import Cell, folder_of
from heldout.tracking import RunTracker, Tracking, connect
from heldout.tracking.remembered import remembered_run
from heldout.training.errors import Interrupted
from heldout.training.evaluate import evaluate
from heldout.training.identity import identify
from heldout.training.multirun import PARENT_VARIABLE
from heldout.training.prepared import find_or_prepare
from heldout.training.train import train

logger = logging.getLogger(__name__)

RUNS, RECORDS = "runs", "records"


def run_study(config: StudyRunConfig, cells: list[Cell]) -> int:
    """Runs what is left of the planned `cells` and writes tables, figure and page; returns the exit code.

    0: done. 3: every training failed. 128 + a signal: stopped by it; the same call goes on.

    Raises:
        UserError: a training, or the evaluation of one, cannot be done.
    """
    folder = Path(folder_of(config))
    with _parent(config, folder) as parent:
        try:
            for number, cell in enumerate(cells, start=1):
                _train(cell, f"{number} of {len(cells)}")
        except Interrupted as interruption:
            logger.warning("%s: %s; the same command goes on from here", config.study.name, interruption)
            parent.finish("KILLED")
            return interruption.exit_code
        if not any(record.info["status"] == "finished" for cell in cells for record in _runs_of(cell)):
            logger.error("%s: every training failed; the records in %s say why", config.study.name, folder / RUNS)
            parent.finish("FAILED", "every training failed")
            return RUNS_FAILED
        _open_test_sets(config, cells, folder)
        result = _analyse(config, cells, folder)
        _tell(result, folder, parent)
    return 0


def _train(cell: Cell, place: str) -> None:
    config = cell.config
    key = identify(config, find_or_prepare(config.data, config.prepared)).key
    done = {record.info["seed"] for record in _runs_of(cell) if record.info.get("key") == key}
    if done == set(config.seeds):
        logger.info("%s (%s) was finished before", config.name, place)
        return
    logger.info("%s (%s)", config.name, place)
    train(config)


def _runs_of(cell: Cell) -> list[Record]:
    out = Path(cell.config.out or "")
    return [Record.load(folder) for folder in find_records(out)] if out.is_dir() else []


def _open_test_sets(config: StudyRunConfig, cells: list[Cell], folder: Path) -> None:
    runs, records = folder / RUNS, folder / RECORDS
    names = [cell.name for cell in cells]
    evaluate(EvaluateConfig(runs=str(runs), out=str(records), only=names, tracking=config.tracking))


def _analyse(config: StudyRunConfig, cells: list[Cell], folder: Path) -> StudyResult:
    timings = Timings(folder)
    entries = []
    for cell in cells:
        records = [Record.load(path) for path in find_records(folder / RECORDS / cell.name)]
        inference = timings.of(_runs_of(cell)) if config.study.inference else None
        entries.append(Entry(cell.name, cell.settings, records, inference))
    return StudyResult.of(config.study, entries, config.analysis)


def _tell(result: StudyResult, folder: Path, parent: RunTracker) -> None:
    from heldout.report import figures
    from heldout.report.study_figures import study_figure

    tables = result.write(folder)
    page = write_study_report(result, folder)
    for path in (*tables, page):
        parent.log_artifact(path)
    parent.log_figure_html("study", figures.page(study_figure(result)))
    parent.log_metrics(result.metrics(), 0)
    for sentence in result.sentences():
        logger.info("%s", sentence)
    logger.info("%s: report in %s", result.study.name, page)


@contextmanager
def _parent(config: StudyRunConfig, folder: Path) -> Iterator[RunTracker]:
    """The run of the study in MLflow, that of an earlier start where there is one; trainings are shown below it."""
    tracking = connect(config.tracking)
    run = _begin(config, folder, tracking)
    before = os.environ.get(PARENT_VARIABLE)
    os.environ[PARENT_VARIABLE] = run.run_id
    try:
        yield run
    except BaseException as error:
        run.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", error)
        raise
    else:
        run.finish("FINISHED")
    finally:
        os.environ.pop(PARENT_VARIABLE)
        if before is not None:
            os.environ[PARENT_VARIABLE] = before


def _begin(config: StudyRunConfig, folder: Path, tracking: Tracking) -> RunTracker:
    study = config.study
    tags = {"heldout.kind": "study", "heldout.study": study.name}
    params = {"grid": study.grid, "overrides": study.overrides, "seeds": study.seeds, "folder": folder.as_posix()}
    return remembered_run(tracking, folder, "study", f"study {folder.name}", tags, params)
