"""The figure of a study: lines with intervals along what was varied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heldout.analysis.study import Line, Setting, StudyResult, shown
from heldout.config.study import TRAIN_EXAMPLES
from heldout.report import theme
from heldout.report.figures import error_bars, layout

if TYPE_CHECKING:
    import plotly.graph_objects as go

# told apart with every common colour blindness (after Okabe and Ito 2008) together with the marks
COLORS = ("#1f6fb2", "#b45309", "#0f766e", "#9d2463", "#4653b5", "#7a6a00", "#5d6672", "#b3261e", "#2f2f2f")
MARKS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x", "pentagon", "star")
ROW_HEIGHT, TOP, BOTTOM = 330, 64, 56
LOGARITHMIC = ("fit_seconds",)


def study_figure(result: StudyResult) -> go.Figure:
    """A panel a metric and column; points are means over seeds with their intervals, baselines are dashed."""
    from plotly.subplots import make_subplots

    figure_config, columns = result.study.figure, result.columns
    rows, count = len(figure_config.metrics), len(columns)
    figure = make_subplots(
        rows=rows,
        cols=count,
        shared_yaxes=True,
        column_titles=None if columns == [None] else columns,
        horizontal_spacing=0.03,
        vertical_spacing=min(0.2, 0.24 / rows),
    )
    figure.update_layout(layout(rows * ROW_HEIGHT + TOP + BOTTOM, showlegend=True, hovermode="closest"))
    figure.update_layout(margin={"t": TOP, "b": BOTTOM}, legend={"y": 1.0 + 24 / (rows * ROW_HEIGHT)})
    labels = [shown(value) for value in result.study.grid[figure_config.lines]]
    named: set[str] = set()
    for line in result.lines:
        style = _style(line, labels)
        for row, metric in enumerate(figure_config.metrics, start=1):
            place = {"row": row, "col": columns.index(line.column) + 1}
            trace = _trace(line, figure_config.x, metric, result.title(metric), style)
            figure.add_scatter(**trace, showlegend=line.label not in named, **place)
            named.add(line.label)
    _name_axes(figure, result)
    return figure


def axis_title(key: str) -> str:
    """What a key of the grid is called on an axis or above a column of a table."""
    return "training examples" if key == TRAIN_EXAMPLES else key.rpartition(".")[2].replace("_", " ")


def _style(line: Line, labels: list[str]) -> dict[str, Any]:
    at = labels.index(line.label)
    color, mark = COLORS[at % len(COLORS)], MARKS[at % len(MARKS)]
    return {
        "name": line.label,
        "legendgroup": line.label,
        "mode": "lines+markers",
        "line": {"color": color, "width": 2, "dash": "dot" if line.is_baseline else "solid"},
        "marker": {"color": color, "symbol": mark, "size": 8},
    }


def _trace(line: Line, x: str, metric: str, title: str, style: dict[str, Any]) -> dict[str, Any]:
    points = [(setting, of) for setting in line.settings if (of := setting.measured(metric)) is not None]
    estimates = [of for _, of in points]
    return {
        "x": [setting.value(x) for setting, _ in points],
        "y": [of.value for of in estimates],
        "error_y": error_bars(estimates, style["line"]["color"]),
        "text": [_hover(setting, metric, title) for setting, _ in points],
        "hovertemplate": "%{text}<extra></extra>",
    } | style


def _hover(setting: Setting, metric: str, title: str) -> str:
    settings = "<br>".join(f"{key} {shown(value)}" for key, value in setting.settings.items())
    of = setting.measured(metric)
    assert of is not None, "shown points are measured"
    interval = "" if of.low is None or of.high is None else f" ({of.low:.3g} to {of.high:.3g})"
    return f"{settings}<br>{title} {of.value:.4g}{interval}"


def _name_axes(figure: go.Figure, result: StudyResult) -> None:
    config = result.study.figure
    values = sorted({setting.value(config.x) for setting in result.settings if setting.value(config.x) is not None})
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    ticks = {"tickmode": "array", "tickvals": values, "ticktext": [shown(value) for value in values]} if numbers else {}
    figure.update_xaxes(type="log" if config.log and numbers else None, **ticks)
    figure.update_xaxes(title_text=axis_title(config.x), row=len(config.metrics))
    for row, metric in enumerate(config.metrics, start=1):
        figure.update_yaxes(title_text=result.title(metric), row=row, col=1)
        if metric in LOGARITHMIC:
            figure.update_yaxes(type="log", dtick=1, row=row)
    for note in figure.layout.annotations:
        note.update(font={"size": 13, "color": theme.INK}, yshift=2)
