"""Plotly figures of single runs and of families, for MLflow and the report.

Every function returns a figure that depends on its arguments only; `page` makes a self-contained HTML page of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from heldout.analysis.curves import Curves, mean_curves
from heldout.analysis.families import Family
from heldout.analysis.intervals import Estimate
from heldout.report import theme
from heldout.scoring import CLASSIFICATION, scoring_of

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

ROW_HEIGHT = 30


def page(figure: go.Figure) -> str:
    """A complete HTML page that shows `figure`, Plotly included, so that it works offline."""
    html: str = figure.to_html(include_plotlyjs=True, full_html=True, div_id="figure", config={"displaylogo": False})
    return html


def loss_curves(history: pd.DataFrame | Sequence[pd.DataFrame], task: str = CLASSIFICATION) -> go.Figure:
    """Train and validation loss by epoch of one run, or of several seeds with their mean."""
    import plotly.graph_objects as go

    seeds = _as_curves(history, task)
    mean = mean_curves(seeds)
    figure = go.Figure(layout=layout(360, showlegend=True))
    for split, color in (("train", theme.TRAIN), ("validation", theme.VALIDATION)):
        for curves in seeds if len(seeds) > 1 else []:
            figure.add_scatter(x=curves.epoch, y=curves.of_split(split)[0], **line(color, "seed"))
        figure.add_scatter(x=mean.epoch, y=mean.of_split(split)[0], name=split, **line(color, "mean"))
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text=scoring_of(task).loss.label)
    return figure


def gap_curves(history: pd.DataFrame | Sequence[pd.DataFrame], task: str = CLASSIFICATION) -> go.Figure:
    """Gap of the score, train minus validation, by epoch of one run, or of several seeds with their mean."""
    import plotly.graph_objects as go

    seeds = _as_curves(history, task)
    figure = go.Figure(layout=layout(360))
    for curves in seeds if len(seeds) > 1 else []:
        figure.add_scatter(x=curves.epoch, y=gap_of(curves), **line(theme.VALIDATION, "seed"))
    mean = mean_curves(seeds)
    figure.add_scatter(x=mean.epoch, y=gap_of(mean), name="gap", **line(theme.VALIDATION, "mean"))
    figure.add_hline(y=0, line={"color": theme.MUTED, "width": 1})
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text=f"{scoring_of(task).score.label} gap, train {theme.MINUS} validation")
    return figure


def families(of: Sequence[Family]) -> go.Figure:
    """A row per family of one data set, best first: train, validation with its interval, and test where opened."""
    import plotly.graph_objects as go

    ranked = [family for family in of if family.rank is not None]
    labels = [family.label for family in ranked]
    figure = go.Figure(layout=layout(110 + ROW_HEIGHT * len(ranked), showlegend=True))
    for split, color, symbol in (
        ("train", theme.TRAIN, "line-ns-open"),
        ("validation", theme.VALIDATION, "circle"),
        ("test", theme.TEST, "diamond-open"),
    ):
        shown = [(family.label, family.score[split]) for family in ranked if split in family.score]
        if not shown:
            continue
        estimates = [estimate for _, estimate in shown]
        figure.add_scatter(
            x=[estimate.value for estimate in estimates],
            y=[label for label, _ in shown],
            name=split,
            mode="markers",
            marker={"color": color, "symbol": symbol, "size": 9, "line": {"color": color, "width": 2}},
            error_x=error_bars(estimates, color) if split == "validation" else None,
            hovertemplate="%{y}: %{x:.3f} on " + split + "<extra></extra>",
        )
    figure.update_yaxes(categoryorder="array", categoryarray=labels[::-1], showgrid=True)
    figure.update_xaxes(title_text=ranked[0].scoring.score.label if ranked else "", showgrid=True)
    return figure


def gap_of(curves: Curves) -> list[float | None]:
    """Gap of the score by epoch; None where a side is missing."""
    pairs = zip(curves.train_score, curves.validation_score, strict=True)
    return [None if train is None or validation is None else train - validation for train, validation in pairs]


def line(color: str, role: str) -> dict[str, Any]:
    """Style of a curve: "mean" in full, "seed" thin and pale behind it."""
    if role == "mean":
        return {"mode": "lines", "line": {"color": color, "width": 2.2}}
    pale = {"color": theme.translucent(color, 0.3), "width": 0.9}
    return {"mode": "lines", "line": pale, "hoverinfo": "skip", "showlegend": False}


def error_bars(estimates: Sequence[Estimate], color: str) -> dict[str, Any]:
    """The intervals as Plotly error bars."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [estimate.upper - estimate.value for estimate in estimates],
        "arrayminus": [estimate.value - estimate.lower for estimate in estimates],
        "color": color,
        "thickness": 1.4,
        "width": 0,
    }


def layout(height: int, **options: Any) -> dict[str, Any]:
    """The layout all figures share: no frame, pale grid, the page's font."""
    axis = {
        "gridcolor": theme.LINE,
        "zeroline": False,
        "linecolor": theme.LINE,
        "ticks": "",
        "tickfont": {"color": theme.MUTED, "size": 11},
        "title": {"font": {"color": theme.MUTED, "size": 12}},
        "automargin": True,
    }
    template = {"layout": {"xaxis": {**axis, "showgrid": False}, "yaxis": axis}}
    base = {
        "template": template,
        "height": height,
        "font": {"family": theme.FONT, "size": 12, "color": theme.INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 56, "r": 16, "t": 28, "b": 44},
        "showlegend": False,
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        "hovermode": "x unified",
        "hoverlabel": {"font": {"family": theme.FONT, "size": 12}},
    }
    return base | options


def _as_curves(history: pd.DataFrame | Sequence[pd.DataFrame], task: str) -> list[Curves]:
    import pandas as pd

    return [Curves.of(one, scoring_of(task)) for one in ([history] if isinstance(history, pd.DataFrame) else history)]
