"""The comparison as flat tables, for people and for `dvc metrics` and `dvc plots`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from heldout.analysis.families import Family
from heldout.analysis.intervals import Estimate
from heldout.analysis.run import Run
from heldout.record import SPLITS
from heldout.scoring import scoring_of


def family_rows(families: Iterable[Family]) -> list[dict[str, Any]]:
    """One row per data set and family, by rank; empty cells where there is nothing to say."""
    return [
        {"data": f.data, "rank": f.rank, "family": f.label, "kind": f.kind, "verdict": str(f.verdict.label)}
        | {"seeds": len(f.seeds), "failed": len(f.failed_seeds)}
        | _cells(f.scoring.score.name, f.score)
        | {f"{split}_loss": f.loss[split].value if split in f.loss else None for split in SPLITS}
        | {f"{split}_{name}": of.get(split) for name, of in f.others.items() for split in SPLITS}
        | _ends(f.drawn)
        | _cell(f"{f.scoring.score.name}_gap", f.gap)
        | _cell("loss_gap", f.loss_gap)
        | _cell(f"end_{f.scoring.score.name}_gap", f.end_gap)
        | _cell("lift", f.lift.value if f.lift else None)
        | {"lift_over": f.lift.baseline if f.lift else None, "lift_split": f.lift.split if f.lift else None}
        | {"calibration_error": f.calibration_error, "kept_epoch": f.kept_epoch, "epochs": f.epochs}
        | {"onset_epoch": f.onset, "parameters": f.parameters, "fit_seconds": f.fit_seconds}
        for f in families
    ]


def run_rows(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """One row a run; those that failed have their error and empty cells."""
    rows = []
    for run in runs:
        m = run.measures
        score = scoring_of(run.task).score.name
        kept = m.gap("score", "kept").value if m else None
        kept_loss = m.gap("loss", "kept").value if m else None
        end = m.gap("score", "end").value if m else None
        rows.append(
            {"data": run.data, "name": run.name, "family": run.family, "kind": run.kind, "seed": run.seed}
            | {"status": run.status, "verdict": str(run.verdict.label), "error": run.error}
            | _cells(score, m.score if m else {})
            | {f"{split}_loss": m.loss.get(split) if m else None for split in SPLITS}
            | {f"{split}_{name}": of.get(split) for name, of in (m.others if m else {}).items() for split in SPLITS}
            | _ends(m.drawn if m else {})
            | _cell(f"{score}_gap", kept)
            | _cell("loss_gap", kept_loss)
            | _cell(f"end_{score}_gap", end)
            | {"calibration_error": m.calibration_error if m else None}
            | {"kept_epoch": m.kept_epoch if m else None, "epochs": m.epochs if m else None}
            | {"onset_epoch": m.onset.epoch if m else None}
            | {"parameters": run.parameters, "fit_seconds": run.fit_seconds}
            | {"record": run.provenance["record"]}
        )
    return rows


def curve_rows(families: Iterable[Family]) -> list[dict[str, Any]]:
    """One row per data set, family, epoch and split: loss and score, means over seeds; deep families only."""
    rows = []
    for f in families:
        if f.kind == "deep":
            rows += [
                {"data": f.data, "family": f.label, "split": split, "epoch": epoch, "loss": loss}
                | {f.scoring.score.name: score}
                for split in ("train", "validation")
                for epoch, loss, score in zip(f.curves.epoch, *f.curves.of_split(split), strict=True)
            ]
    return rows


def metrics(family: Family) -> dict[str, Any]:
    """The few values worth a diff between commits, rounded to four decimals."""
    score = family.scoring.score.name
    values = {f"{split}_{score}": family.score[split].value for split in SPLITS if split in family.score}
    if family.gap:
        values["gap"] = family.gap.value
    if family.lift:
        values["lift"] = family.lift.value.value
    return {"verdict": str(family.verdict.label)} | {name: round(value, 4) for name, value in values.items()}


def to_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """The rows as csv text with a header; numbers to six significant digits, None as an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[_text(row.get(column)) for column in columns] for row in rows])
    return text.getvalue()


def _text(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _cells(metric: str, by_split: Mapping[str, Estimate]) -> dict[str, float | None]:
    cells: dict[str, float | None] = {}
    for split in SPLITS:
        cells |= _cell(f"{split}_{metric}", by_split.get(split))
    return cells


def _ends(drawn: Mapping[str, Mapping[str, Estimate]]) -> dict[str, float | None]:
    """The ends of the intervals whose values stand among the others."""
    cells: dict[str, float | None] = {}
    for name, of in drawn.items():
        for split, estimate in of.items():
            cells |= {f"{split}_{name}_low": estimate.low, f"{split}_{name}_high": estimate.high}
    return cells


def _cell(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
