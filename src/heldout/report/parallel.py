"""Parallel coordinates: every trial as a line across its settings to its objective."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heldout.analysis.selection import Sweep
from heldout.analysis.selection.importance import is_logarithmic
from heldout.analysis.selection.tables import PARAMETER
from heldout.report import theme
from heldout.report.figures import layout

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

HEIGHT = 400
MARGIN = {"l": 8, "r": 8, "t": 28, "b": 4}
# settings for which there is room; the most important ones where there are more
MOST_SETTINGS = 9
# opacities into which the finished trials are divided, the best last: they work on light and on dark pages
OPACITIES = (0.16, 0.26, 0.4, 0.62, 1.0)
# the worst share of the finished trials, which share the lower end of the objective's axis
OFF_SCALE = 0.15
# where a setting that does not apply to a trial is drawn, below the axis
ABSENT = -0.09
TICKS = 5


@dataclass(frozen=True)
class Axis:
    """A vertical axis: `position` of each trial from 0 to 1, or ABSENT; ticks are (position, text)."""

    title: str
    position: np.ndarray
    ticks: list[tuple[float, str]]


def parallel_coordinates(sweep: Sweep, order: Sequence[str] = ()) -> go.Figure:
    """Trials as lines over the settings that vary, towards their objective; the stronger its colour, the better.

    Pruned trials are dashed and grey, and can be hidden by their name in the legend; failed ones are left out. Axes are
    logarithmic where the values seem to have been drawn so. `order` names the most important settings first; they stand
    next to the objective.
    """
    import plotly.graph_objects as go

    objective = sweep.trials["objective"].astype(float)
    shown = sweep.trials[(sweep.trials["status"] != "failed") & np.isfinite(objective)].reset_index(drop=True)
    axes = [_axis(key, shown[PARAMETER + key]) for key in _settings(sweep, shown, order)]
    axes.append(_objective_axis(sweep, shown))
    figure = go.Figure(layout=layout(HEIGHT, showlegend=True, hovermode="closest", margin=MARGIN))
    pruned = (shown["status"] == "pruned").to_numpy()
    told = [_told(sweep, row) for _, row in shown.iterrows()]
    _add_lines(
        figure, axes, np.flatnonzero(pruned), told, "pruned", {"color": theme.TRAIN, "width": 0.8, "dash": "dot"}
    )
    ranked = np.flatnonzero(~pruned)
    better = shown["objective"].astype(float).to_numpy()[ranked] * (1 if sweep.mode == "max" else -1)
    ranked = ranked[np.argsort(better, kind="stable")]
    for opacity, group in zip(OPACITIES, np.array_split(ranked, len(OPACITIES)), strict=True):
        name = "finished" if opacity == OPACITIES[-1] else ""
        line = {"color": theme.translucent(theme.VALIDATION, opacity), "width": 1 + opacity}
        _add_lines(figure, axes, group, told, name, line)
    for place, axis in enumerate(axes):
        _draw_axis(figure, place, axis, labels="left" if axis is not axes[-1] else "right")
    figure.update_xaxes(visible=False, range=[-0.35, len(axes) - 0.65])
    figure.update_yaxes(visible=False, range=[ABSENT - 0.05, 1.14])
    return figure


def _settings(sweep: Sweep, shown: pd.DataFrame, order: Sequence[str]) -> list[str]:
    varying = [key for key in sweep.parameters if shown[PARAMETER + key].nunique(dropna=False) > 1]
    by_importance = [key for key in order if key in varying]
    rest = [key for key in varying if key not in by_importance]
    return (by_importance + rest)[:MOST_SETTINGS][::-1]


def _axis(key: str, values: pd.Series) -> Axis:
    from pandas.api.types import is_numeric_dtype

    if is_numeric_dtype(values) and values.nunique() > TICKS:
        numbers = values.astype(float).to_numpy()
        return _number_axis(key, numbers, logarithmic=is_logarithmic(values))
    known = sorted(values.dropna().unique().tolist())
    place = {value: (i + 0.5) / len(known) for i, value in enumerate(known)}
    # between neighbouring values of a choice, lines keep a little apart
    jitter = np.random.default_rng(0).uniform(-0.14, 0.14, len(values)) / max(1, len(known))
    position = np.array([place.get(value, math.nan) for value in values]) + jitter
    return Axis(key, _present(position, bool(values.isna().any())), [(at, _text(value)) for value, at in place.items()])


def _number_axis(key: str, numbers: np.ndarray, logarithmic: bool) -> Axis:
    scaled = np.log10(numbers) if logarithmic else numbers
    low, high = float(np.nanmin(scaled)), float(np.nanmax(scaled))
    span = high - low or 1.0
    ticks = []
    for value in _round_values(low, high, logarithmic):
        at = math.log10(value) if logarithmic else value
        ticks.append(((at - low) / span, _text(value)))
    return Axis(key, _present((scaled - low) / span, bool(np.isnan(scaled).any())), ticks)


def _round_values(low: float, high: float, logarithmic: bool) -> list[float]:
    if logarithmic:
        powers = [10.0**power for power in range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)]
        if len(powers) > 1:
            return powers
        return [10.0**low, *powers, 10.0**high]
    step = 10 ** math.floor(math.log10((high - low) or 1))
    step = next(s for s in (step / 5, step / 2, step, 2 * step, 5 * step) if (high - low) / s < TICKS)
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _objective_axis(sweep: Sweep, shown: pd.DataFrame) -> Axis:
    """Better is up; the worst few share the end, or they would squeeze all others."""
    values = shown["objective"].astype(float).to_numpy()
    if len(values) == 0:
        return Axis(sweep.metric, values, [])
    finished = values[(shown["status"] == "finished").to_numpy()]
    typical = finished if len(finished) else values
    worst = float(np.quantile(typical, OFF_SCALE if sweep.mode == "max" else 1 - OFF_SCALE))
    clipped = np.maximum(values, worst) if sweep.mode == "max" else np.minimum(values, worst)
    axis = _number_axis(sweep.metric, clipped, logarithmic=False)
    position = axis.position if sweep.mode == "max" else 1 - axis.position
    ticks = [(at if sweep.mode == "max" else 1 - at, text) for at, text in axis.ticks]
    return Axis(sweep.metric, position, ticks)


def _present(position: np.ndarray, some_absent: bool) -> np.ndarray:
    return np.where(np.isnan(position), ABSENT, position) if some_absent else position


def _add_lines(
    figure: go.Figure, axes: Sequence[Axis], chosen: np.ndarray, told: Sequence[str], name: str, line: dict[str, Any]
) -> None:
    """One trace for all of `chosen`: lines with gaps between them, so that a thousand trials stay light."""
    if len(chosen) == 0:
        return
    x: list[float | None] = []
    y: list[float | None] = []
    text: list[str] = []
    for trial in chosen:
        x += [*range(len(axes)), None]
        y += [*(float(axis.position[trial]) for axis in axes), None]
        text += [told[trial]] * (len(axes) + 1)
    figure.add_scatter(
        x=x,
        y=y,
        text=text,
        mode="lines",
        line=line,
        name=name,
        legendgroup="pruned" if name == "pruned" else "finished",
        showlegend=bool(name),
        hovertemplate="%{text}<extra></extra>",
    )


def _draw_axis(figure: go.Figure, place: int, axis: Axis, labels: str) -> None:
    figure.add_shape(type="line", x0=place, x1=place, y0=0, y1=1, line={"color": theme.MUTED, "width": 1})
    figure.add_annotation(
        x=place, y=1.09, text=f"<b>{_short(axis.title)}</b>", hovertext=axis.title, showarrow=False, font={"size": 12}
    )
    ticks = list(axis.ticks)
    if (axis.position == ABSENT).any():
        ticks.append((ABSENT, "not set"))
    for at, text in ticks:
        figure.add_annotation(
            x=place, y=at, text=text, showarrow=False, xanchor="right" if labels == "left" else "left",
            xshift=-4 if labels == "left" else 4, bgcolor="rgba(255,255,255,0.75)",
            font={"size": 10.5, "color": theme.MUTED}, borderpad=1,
        )  # fmt: skip


def _told(sweep: Sweep, row: pd.Series) -> str:
    """What a reader sees of a trial when pointing at its line."""
    settings = [(key, row[PARAMETER + key]) for key in sweep.parameters]
    lines = [f"<b>trial {row['trial']}</b>, {row['status']}: {sweep.metric} {row['objective']:.4g}"]
    return "<br>".join(lines + [f"{key} = {_text(value)}" for key, value in settings if not _missing(value)])


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _short(key: str) -> str:
    """The last part of a key, which says enough where the axis is narrow."""
    return key.rsplit(".", 1)[-1]


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
