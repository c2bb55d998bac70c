"""After the last trial: tables, refits, the winner, one look at the test set, and what all of it says."""

from __future__ import annotations

import json
import logging
from typing import Any

from heldout.analysis import selection
from heldout.analysis.selection.tables import FORMAT, SWEEP_FILE
from heldout.config.analysis import AnalysisConfig
from heldout.config.compose import compose_stage, hydra_session
from heldout.config.stages import EvaluateConfig, TrainConfig
from heldout.record import Record, find_records
from heldout.report import SweepAnalysis, figures
from heldout.tuning.parent import SweepParent
from heldout.tuning.refit import Refit, refit_best
from heldout.tuning.settings import fits_a_trial
from hydra_plugins.ray_tune_sweeper import Status, Sweep, plain

logger = logging.getLogger(__name__)

WINNER_FOLDER = "winner"


def finish(sweep: Sweep, config: TrainConfig, parent: SweepParent) -> None:
    """Leaves trials.parquet, sweep.json, best.yaml and sweep.html in the folder of the sweep, and all in MLflow.

    Raises:
        UserError: as a training, or the evaluation of one.
    """
    runs = parent.runs_of_trials()
    for trial in sweep.trials:
        record = _record_of(sweep, trial.job) if trial.status is Status.finished else None
        sweep.columns[trial.job] = {"run_id": runs.get(trial.job), "record": record}
    sweep.write_tables()
    refits = [entry for refit in refit_best(sweep, config, runs) for entry in _entries(sweep, config, refit)]
    winner = _winner(sweep, config, refits)
    _write_summary(sweep, config, refits, winner)
    _tell(sweep, parent, SweepAnalysis.of(selection.read_sweep(sweep.directory), _analysis_config()))


def _record_of(sweep: Sweep, job: int) -> str | None:
    folder = sweep.folder(job)
    found = find_records(folder) if folder.is_dir() else []
    # several fits have no one record
    return found[0].relative_to(sweep.directory).as_posix() if len(found) == 1 else None


def _entries(sweep: Sweep, config: TrainConfig, refit: Refit) -> list[dict[str, Any]]:
    return [
        {
            "trial": refit.trial.job,
            "seed": record.info["seed"],
            "objective": _kept(record, config.sweep.objective.metric),
            "record": record.path.relative_to(sweep.directory).as_posix(),
        }
        for record in refit.records
    ]


def _kept(record: Record, metric: str) -> float | None:
    if record.info["status"] != "finished":
        return None
    return record.kept("validation", metric)


def _winner(sweep: Sweep, config: TrainConfig, refits: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The trial that does best on fresh seeds; the test set is opened for it, and for no other."""
    if not refits:
        return None
    chosen = [selection.Refit(r["trial"], r["seed"], r["objective"], r["record"]) for r in refits]
    job = selection.choose_winner(chosen, config.sweep.objective.mode.name)
    params = {key: plain(value) for key, value in sweep.trials[job].params.items()}
    if config.sweep.refit.test:
        _open_test(sweep, config, job, refits)
    return {"trial": job, "params": params}


def _open_test(sweep: Sweep, config: TrainConfig, job: int, refits: list[dict[str, Any]]) -> None:
    from heldout.training.evaluate import evaluate

    folder = sweep.directory / WINNER_FOLDER
    runs = sweep.directory / next(r["record"] for r in refits if r["trial"] == job)
    evaluate(EvaluateConfig(runs=str(runs.parent), out=str(folder), tracking=config.tracking))
    for refit in refits:
        if refit["trial"] == job:
            refit["record"] = f"{WINNER_FOLDER}/{(sweep.directory / refit['record']).name}"


def _write_summary(
    sweep: Sweep, config: TrainConfig, refits: list[dict[str, Any]], winner: dict[str, Any] | None
) -> None:
    settings = sweep.settings
    summary = {
        "format": FORMAT,
        "name": sweep.name,
        "objective": {"metric": settings.objective.metric, "mode": settings.objective.mode.name},
        "searcher": settings.searcher.name,
        "scheduler": settings.scheduler.name,
        "trials_wanted": settings.trials or len(sweep.trials),
        # the luck of a trial that is a mean of several fits is smaller; on folds it is another one
        "fits": fits_a_trial(config),
        "folds": config.sweep.folds,
        "refits": refits,
        "winner": winner,
    }
    text = json.dumps(summary, indent=1, allow_nan=False) + "\n"
    (sweep.directory / SWEEP_FILE).write_text(text, encoding="utf-8")
    if winner is not None:
        fresh = [r["objective"] for r in refits if r["trial"] == winner["trial"] and r["objective"] is not None]
        trial = sweep.trials[winner["trial"]]
        mean = sum(fresh) / len(fresh)
        sweep.write_best(trial.params, trial=trial.job, objective=trial.objective, on_fresh_seeds=mean)


def _analysis_config() -> AnalysisConfig:
    from omegaconf import OmegaConf

    with hydra_session():
        config = OmegaConf.to_object(compose_stage("compare", [], complete=False).analysis)
    assert isinstance(config, AnalysisConfig)
    return config


def _tell(sweep: Sweep, parent: SweepParent, found: SweepAnalysis) -> None:
    page = found.write()
    run = parent.run
    for name in ("trials.parquet", "reports.parquet", "best.yaml", SWEEP_FILE):
        if (sweep.directory / name).is_file():
            run.log_artifact(sweep.directory / name)
    run.log_artifact(page, "figures")
    for name, figure in found.figures().items():
        run.log_figure_html(name, figures.page(figure))
    run.log_metrics(found.selection.metrics(), 0)
    words = selection.sentences(found.selection)
    run.set_tags({"heldout.selection": " ".join(words)})
    for sentence in words:
        logger.info("%s: %s", sweep.name, sentence)
    logger.info("%s: report in %s", sweep.name, page)
