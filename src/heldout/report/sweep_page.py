"""The report of a sweep: one self-contained HTML page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heldout.analysis.selection import Selection, Sweep, analyse, read_sweep, sentences
from heldout.analysis.selection.importance import Importance, importance
from heldout.analysis.selection.sentences import decimals
from heldout.analysis.selection.steps import Judgement, Step
from heldout.analysis.selection.tables import PARAMETER
from heldout.config.analysis import AnalysisConfig
from heldout.report import sweep_figures, theme, words
from heldout.report.page import Figure, environment, figure_json, write_atomically
from heldout.report.parallel import parallel_coordinates

REPORT_FILE = "sweep.html"
# order of the table of trials
STATUSES = ("finished", "pruned", "failed")
JUDGEMENTS: dict[Judgement, theme.VerdictStyle] = {
    Judgement.luck: theme.VerdictStyle("#0f766e", "circle", "●"),
    Judgement.larger: theme.VerdictStyle("#b45309", "triangle-up", "▲"),
    Judgement.unresolved: theme.VerdictStyle("#5d6672", "circle-open", "○"),
    Judgement.unknown: theme.VerdictStyle("#5d6672", "circle-open", "○"),
}


@dataclass(frozen=True)
class Row:
    """A trial as the table shows it."""

    trial: int
    status: str
    settings: list[str]
    objective: float | None
    epochs: int
    seconds: float | None
    error: str


@dataclass(frozen=True)
class SweepAnalysis:
    """A sweep, what is left of its best score, and which settings mattered."""

    sweep: Sweep
    selection: Selection
    importance: Importance

    @classmethod
    def of(cls, sweep: Sweep, settings: AnalysisConfig) -> SweepAnalysis:
        """Analyse a sweep; raises RecordError when a record that it names is missing or damaged."""
        return cls(sweep, analyse(sweep, settings), importance(sweep, settings.confidence, settings.seed))

    def write(self) -> Path:
        """Write the report into the folder of the sweep and return its path; the same analysis gives the same bytes."""
        out = self.sweep.folder / REPORT_FILE
        write_atomically(out, render(self))
        return out

    def figures(self) -> dict[str, Any]:
        """The Plotly figures by name, those for which there is something to show."""
        made: dict[str, Any] = {}
        if self.selection.seen is not None:
            made["selection"] = sweep_figures.ladder(self.selection)
        if len(self.sweep.trials):
            made["anytime"] = sweep_figures.anytime(self.sweep, self.selection.winner_fresh)
        if self._is_parallel():
            made["parallel_coordinates"] = parallel_coordinates(self.sweep, list(self.importance.by_parameter))
        if self.importance.by_parameter:
            made["importance"] = sweep_figures.importances(self.importance)
        return made

    def _is_parallel(self) -> bool:
        shown = self.sweep.trials[self.sweep.trials["status"] != "failed"]
        return any(shown[PARAMETER + key].nunique(dropna=False) > 1 for key in self.sweep.parameters)


def write_sweep_report(folder: Path | str, settings: AnalysisConfig | None = None) -> Path:
    """Write ``sweep.html`` into the folder of a finished sweep and return its path.

    The same files and settings give the same bytes. Raises SweepFilesError when a table is missing or malformed, and
    RecordError when a record that it names is.
    """
    return SweepAnalysis.of(read_sweep(folder), settings or AnalysisConfig()).write()


def render(found: SweepAnalysis) -> str:
    """The page as text."""
    from plotly.offline import get_plotlyjs

    sweep, selection = found.sweep, found.selection
    told = sentences(selection)
    return environment().get_template("sweep.html.j2").render(
        sweep=sweep,
        selection=selection,
        headline=told[0],
        sentences=told[1:],
        decimals=decimals(selection),
        steps=_steps(selection),
        styles=JUDGEMENTS,
        importance=found.importance,
        figures={name: Figure(f"figure-{name}", figure_json(figure)) for name, figure in found.figures().items()},
        rows=_rows(sweep),
        best=selection.winner if selection.winner is not None else selection.leader,
        plotly=get_plotlyjs(),
    )  # fmt: skip


def _steps(selection: Selection) -> list[tuple[str, Step]]:
    """The steps down that were measured, with what they lead from and to."""
    named = (
        (f"trial {selection.leader}: best seen → fresh seeds", selection.to_fresh),
        (f"trial {selection.winner}: fresh seeds → test", selection.to_test),
    )
    return [(name, step) for name, step in named if step is not None]


def _rows(sweep: Sweep) -> list[Row]:
    """Trials by status, best objective first, those without one last."""
    worst = -math.inf if sweep.mode == "max" else math.inf
    direction = 1 if sweep.mode == "max" else -1

    def place(row: Row) -> tuple[int, float, int]:
        return STATUSES.index(row.status), -direction * (worst if row.objective is None else row.objective), row.trial

    return sorted((_row(sweep, trial) for trial in sweep.trials.to_dict("records")), key=place)


def _row(sweep: Sweep, trial: Mapping[Any, Any]) -> Row:
    objective, seconds = _finite(trial["objective"]), None
    if _finite(trial["ended"]) is not None and _finite(trial["started"]) is not None:
        seconds = trial["ended"] - trial["started"]
    settings = [words.setting(trial[PARAMETER + key]) for key in sweep.parameters]
    error = trial["error"] if isinstance(trial["error"], str) else ""
    return Row(trial["trial"], trial["status"], settings, objective, trial["epochs"], seconds, error)


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
