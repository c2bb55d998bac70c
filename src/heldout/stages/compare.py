"""The stage `compare`: records to a comparison, told to MLflow too."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from heldout.analysis import Comparison, Estimate, Family, Run, Verdict, compare
from heldout.config.stages import CompareConfig
from heldout.record import Record, RecordError, find_records
from heldout.tracking import Tracking, connect

logger = logging.getLogger(__name__)


def run(config: CompareConfig) -> None:
    """Compares the records below `config.records` and writes the comparison to `config.out`."""
    root = Path(config.records)
    folders = find_records(root)
    if config.only is not None:
        folders = [folder for folder in folders if set(folder.relative_to(root).parts[:1]) & set(config.only)]
    if not folders:
        raise RecordError(f"no records below {root} (only={config.only}); train and evaluate first.")
    comparison = compare([Record.load(folder) for folder in folders], config.analysis)
    tracking = connect(config.tracking)
    comparison.write(Path(config.out))
    for family in comparison.families:
        logger.info("%-10s %-24s %s", family.data, family.label, family.verdict.label.value)
    _track(comparison, Path(config.out), tracking)


def _track(comparison: Comparison, folder: Path, tracking: Tracking) -> None:
    from heldout.report import figures

    for one in comparison.runs:
        _track_verdict(one, tracking)
    for family in comparison.families:
        runs = [one for one in comparison.runs if (one.data, one.name) == (family.data, family.name)]
        _track_family(family, runs, tracking)
    name = f"comparison {' '.join(comparison.data_sets)}"
    with tracking.start_run(name, tags={"heldout.kind": "comparison"}, system_metrics=False) as run:
        for family in comparison.families:
            scores = {f"{split}/{family.label}": of.value for split, of in family.score.items()}
            gap = {} if family.gap is None else {f"gap/{family.label}": family.gap.value}
            run.log_metrics({**scores, **gap}, 0)
            run.set_tags({f"verdict.{family.label}": family.verdict.label.value})
        for path in sorted(folder.iterdir()):
            run.log_artifact(path)
        for data in comparison.data_sets:
            families = [family for family in comparison.families if family.data == data]
            run.log_figure_html(f"families_{data}", figures.page(figures.families(families)))


def _track_verdict(one: Run, tracking: Tracking) -> None:
    run_id = one.provenance.get("mlflow", {}).get("run_id")
    # records of other programs may have no run in MLflow
    run = None if run_id is None else tracking.find(run_id)
    if run is None:
        return
    run.set_tags(_tags(one.verdict))
    if one.measures is not None:
        scoring = one.measures.scoring
        for metric in (scoring.score.name, scoring.loss.name):
            gap = one.measures.gap(metric, "kept").value
            run.log_metrics(_metrics(f"gap_{metric}", gap), one.measures.kept_epoch)
        run.log_metrics(_drawn(one.measures.drawn), one.measures.kept_epoch)
    run.finish()


def _track_family(family: Family, runs: list[Run], tracking: Tracking) -> None:
    # a configuration has the metrics and tags of its runs, as means: a table of the UI shows both in one column
    parents = {one.provenance.get("mlflow", {}).get("parent_run_id") for one in runs}
    # seeds that were trained one by one have no parent that stands for all of them
    parent_id = parents.pop() if len(parents) == 1 else None
    run = None if parent_id is None else tracking.find(parent_id)
    if run is None:
        return
    run.set_tags(_tags(family.verdict))
    score = family.scoring.score.name
    for metric, gap in ((score, family.gap), ("loss", family.loss_gap)):
        if gap is not None:
            run.log_metrics(_metrics(f"gap_{metric}", gap), 0)
    run.log_metrics(_drawn(family.drawn), 0)
    test = {score: family.score.get("test"), "loss": family.loss.get("test")}
    run.log_metrics({f"test/{metric}": of.value for metric, of in test.items() if of is not None}, 0)
    others = {name: of["test"] for name, of in family.others.items() if "test" in of}
    run.log_metrics({f"test/{name}": value for name, value in others.items()}, 0)
    run.finish()


def _drawn(measures: Mapping[str, Mapping[str, Estimate]]) -> dict[str, float]:
    """On validation, each with the ends of its interval."""
    return {key: value for name, of in measures.items() for key, value in _metrics(name, of["validation"]).items()}


def _tags(verdict: Verdict) -> dict[str, str]:
    return {"heldout.verdict": verdict.label.value, "heldout.evidence": " ".join(verdict.evidence)}


def _metrics(name: str, of: Estimate) -> dict[str, float]:
    return {f"analysis/{name}": of.value, f"analysis/{name}_lower": of.lower, f"analysis/{name}_upper": of.upper}
