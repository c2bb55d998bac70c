"""Plotly figures of a sweep: what is left of its best score, its trials, the importance of settings, its progress."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from heldout.analysis.intervals import Estimate
from heldout.analysis.selection import Selection, Sweep
from heldout.analysis.selection.importance import Importance
from heldout.report import theme
from heldout.report.figures import ROW_HEIGHT, error_bars, layout

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

ANYTIME_HEIGHT = 320
LUCK = "by luck alone"
LUCK_BELOW = 0.24


def ladder(selection: Selection) -> go.Figure:
    """The best score seen, the same settings on fresh seeds, and the winner on test, one below the other.

    The grey mark beside the fresh seeds is where choosing the best of so many, by itself, would put them.
    """
    import plotly.graph_objects as go

    figure = go.Figure(layout=layout(120, hovermode="closest", margin={"l": 8, "r": 16, "t": 12, "b": 44}))
    rows = _rungs(selection)
    labels = list(dict.fromkeys(label for label, *_ in rows))
    for label, estimate, color, symbol in rows:
        # what luck alone would do stands a little below what was found
        height = -labels.index(label) - (LUCK_BELOW if color == theme.TRAIN else 0.0)
        figure.add_scatter(
            x=[estimate.value],
            y=[height],
            mode="markers",
            marker={"color": color, "symbol": symbol, "size": 11, "line": {"color": color, "width": 2}},
            error_x=error_bars([estimate], color),
            hovertemplate=f"{LUCK if color == theme.TRAIN else label}: %{{x:.4~f}}<extra></extra>",
        )
    figure.update_yaxes(tickvals=[-i for i in range(len(labels))], ticktext=labels, showgrid=True)
    figure.update_yaxes(tickfont={"size": 13, "color": theme.INK}, range=[0.4 - len(labels), 0.5])
    figure.update_xaxes(title_text=selection.metric, showgrid=True)
    figure.update_layout(height=70 + (ROW_HEIGHT + 8) * len(labels))
    return figure


def _rungs(of: Selection) -> list[tuple[str, Estimate, str, str]]:
    """Label, value, colour and mark of each line of the ladder, from above."""
    if of.seen is None:
        return []
    rows = [(f"best seen, trial {of.leader}", Estimate(of.seen), theme.VALIDATION, "circle-open")]
    if of.fresh is not None:
        label = "its settings, fresh seeds" if of.winner == of.leader else f"trial {of.leader}, fresh seeds"
        if of.to_fresh is not None and of.to_fresh.luck is not None:
            rows.append((label, _shifted(of.seen, of.to_fresh.luck, of.mode), theme.TRAIN, "line-ns-open"))
        rows.append((label, of.fresh, theme.VALIDATION, "circle"))
    if of.winner_fresh is not None and of.winner != of.leader:
        rows.append((f"trial {of.winner} (kept), fresh seeds", of.winner_fresh, theme.VALIDATION, "circle"))
    if of.test is not None:
        rows.append((f"trial {of.winner}, test", of.test, theme.TEST, "diamond-open"))
    if of.corrected is not None:
        label = "corrected for the luck of the validation examples"
        rows.append((label, of.corrected, theme.TEST, "diamond-open"))
    return rows


def _shifted(seen: float, luck: Estimate, mode: str) -> Estimate:
    """Where a drop by luck leads from the best score seen."""
    direction = 1 if mode == "max" else -1
    ends = sorted((seen - direction * luck.lower, seen - direction * luck.upper))
    return Estimate(seen - direction * luck.value, ends[0], ends[1])


def importances(found: Importance) -> go.Figure:
    """Importance of each setting with its interval, most important first."""
    import plotly.graph_objects as go

    names = list(found.by_parameter)
    values = list(found.by_parameter.values())
    figure = go.Figure(layout=layout(80 + ROW_HEIGHT * len(names), margin={"l": 8, "r": 16, "t": 12, "b": 44}))
    figure.update_layout(hovermode="closest", bargap=0.45)
    figure.add_bar(
        x=[max(0.0, value.value) for value in values],
        y=names,
        orientation="h",
        marker={"color": theme.translucent(theme.VALIDATION, 0.55)},
        error_x=error_bars(values, theme.INK),
        hovertemplate="%{y}: %{x:.2f}<extra></extra>",
    )
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], showgrid=False)
    figure.update_yaxes(tickfont={"size": 12, "color": theme.INK})
    figure.update_xaxes(title_text="share of the variance of ranks lost when the setting is shuffled", showgrid=True)
    figure.update_xaxes(rangemode="tozero", zeroline=True, zerolinecolor=theme.LINE)
    return figure


def anytime(sweep: Sweep, fresh: Estimate | None = None) -> go.Figure:
    """The best objective so far, by seconds and by trials that ended; a mark for each trial.

    `fresh` is drawn as a line: what the winner reaches on fresh seeds.
    """
    from plotly.subplots import make_subplots

    ended = sweep.trials.sort_values(["ended", "trial"], ignore_index=True)
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.03)
    figure.update_layout(layout(ANYTIME_HEIGHT, showlegend=True, hovermode="closest"))
    low, high = _objective_range(ended, sweep.mode, fresh)
    seconds: list[float] = ended["ended"].astype(float).tolist()
    for column, x in enumerate((seconds, [float(i + 1) for i in range(len(ended))]), start=1):
        where = {"row": 1, "col": column, "legend": column == 1}
        _add_trials(figure, ended, x, low + 0.02 * (high - low), where)
        _add_best(figure, ended, x, sweep.mode, where)
        if fresh is not None:
            line = {"color": theme.MUTED, "width": 1.2, "dash": "dash"}
            figure.add_hline(y=fresh.value, line=line, row=1, col=column)
    figure.update_yaxes(range=[low, high], tickformat=".3~g")
    figure.update_yaxes(title_text=sweep.metric, row=1, col=1)
    figure.update_xaxes(title_text="seconds since the sweep began", rangemode="tozero", row=1, col=1)
    figure.update_xaxes(title_text="trials that have ended", rangemode="tozero", row=1, col=2)
    return figure


def _add_trials(figure: go.Figure, ended: pd.DataFrame, x: Sequence[float], edge: float, where: dict[str, int]) -> None:
    styles = {
        "finished": {"color": theme.translucent(theme.VALIDATION, 0.45), "symbol": "circle", "size": 6},
        "pruned": {"color": theme.TRAIN, "symbol": "x-thin-open", "size": 6},
        "failed": {"color": theme.ONSET, "symbol": "triangle-up", "size": 8},
    }
    for status, marker in styles.items():
        chosen = np.flatnonzero(ended["status"] == status)
        objective = ended["objective"].astype(float).to_numpy()[chosen]
        figure.add_scatter(
            x=[x[i] for i in chosen],
            # what failed has no score: it stands at the edge
            y=np.where(np.isfinite(objective), objective, edge) if status != "failed" else np.full(len(chosen), edge),
            mode="markers",
            name=status,
            marker=marker,
            customdata=ended["trial"].to_numpy()[chosen],
            hovertemplate=f"trial %{{customdata}}, {status}: %{{y:.4~f}}<extra></extra>",
            legendgroup=status,
            showlegend=bool(where["legend"] and len(chosen)),
            row=where["row"],
            col=where["col"],
        )


def _add_best(figure: go.Figure, ended: pd.DataFrame, x: Sequence[float], mode: str, where: dict[str, int]) -> None:
    objective = ended["objective"].astype(float).where(ended["status"] == "finished")
    best = objective.cummax() if mode == "max" else objective.cummin()
    known = best.ffill()
    figure.add_scatter(
        x=list(x),
        y=[None if np.isnan(value) else value for value in known],
        mode="lines",
        name="best so far",
        line={"color": theme.VALIDATION, "width": 2.2, "shape": "hv"},
        hovertemplate="best so far: %{y:.4~f}<extra></extra>",
        legendgroup="best",
        showlegend=bool(where["legend"]),
        row=where["row"],
        col=where["col"],
    )


def _objective_range(ended: pd.DataFrame, mode: str, fresh: Estimate | None) -> tuple[float, float]:
    """Range of the axis: from the best to where most finished trials are; what is far worse would squeeze them."""
    objective = ended["objective"].astype(float)
    known = np.isfinite(objective)
    finished = known & (ended["status"] == "finished")
    values = objective[finished if finished.any() else known].to_numpy()
    shown = [*values, *([] if fresh is None else [fresh.value])]
    if not shown:
        return 0.0, 1.0
    ordered = np.sort(shown)[:: -1 if mode == "max" else 1]
    best, reach = ordered[0], ordered[round(0.85 * (len(ordered) - 1))]
    low, high = min(best, reach), max(best, reach)
    margin = 0.08 * (high - low) or 0.01 * abs(best) or 0.01
    return float(low - margin), float(high + margin)
