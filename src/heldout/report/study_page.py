"""The report of a study: one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

from heldout.analysis.study import StudyResult, shown
from heldout.report import theme
from heldout.report.page import Figure, environment, figure_json, write_atomically
from heldout.report.study_figures import axis_title, study_figure

REPORT_FILE = "study.html"


def write_study_report(result: StudyResult, folder: Path) -> Path:
    """Writes study.html into `folder` and returns its path; the same result gives the same bytes."""
    out = folder / REPORT_FILE
    write_atomically(out, render(result))
    return out


def render(result: StudyResult) -> str:
    """The page as text."""
    from plotly.offline import get_plotlyjs

    environment_ = environment()
    environment_.filters["shown"] = shown
    return environment_.get_template("study.html.j2").render(
        result=result,
        study=result.study,
        keys=list(result.study.grid),
        x=axis_title(result.study.figure.x),
        titles={key: axis_title(key) for key in result.study.grid},
        confidence=f"{result.comparison.settings.confidence * 100:g}",
        failed=[run for run in result.comparison.runs if run.measures is None],
        styles=theme.VERDICTS,
        figures={"study": Figure("study", figure_json(study_figure(result)))},
        plotly=get_plotlyjs(),
    )
