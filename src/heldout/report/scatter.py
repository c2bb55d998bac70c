"""The scatter of score against gap, with a column of labels that do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heldout.analysis.families import Family
from heldout.analysis.intervals import Estimate
from heldout.report import theme
from heldout.report.axes import axis_floor, padded, round_ticks
from heldout.report.figures import error_bars, layout

if TYPE_CHECKING:
    import plotly.graph_objects as go

HEIGHT = 430
# labels keep so far apart, as a share of the height of the axis
LABEL_DISTANCE = 0.052
# width of the column of labels, as a share of that of the axis
LABEL_COLUMN = 0.26


@dataclass(frozen=True)
class _Point:
    family: Family
    score: Estimate
    gap: Estimate


def gap_against_score(families: Sequence[Family], overfit_gap: float) -> go.Figure:
    """Validation score against the gap of the families of one data set, with intervals.

    Up and left is better. The region from `overfit_gap` on is shaded. Families far below the others are left out.
    """
    import plotly.graph_objects as go

    points = [_Point(f, f.score["validation"], f.gap) for f in families if f.gap is not None]
    floor = axis_floor([point.score.value for point in points])
    points = [point for point in points if point.score.value >= floor]
    label = points[0].family.scoring.score.label
    figure = go.Figure(layout=layout(HEIGHT, hovermode="closest"))
    low, high = padded(min(p.score.lower for p in points), max(p.score.upper for p in points))
    left, right = padded(min(0.0, *(p.gap.lower for p in points)), max(overfit_gap, *(p.gap.upper for p in points)))
    shade = theme.translucent(theme.ONSET, 0.07)
    figure.add_vrect(x0=overfit_gap, x1=right, fillcolor=shade, line_width=0, layer="below")
    figure.add_vline(x=overfit_gap, line={"color": theme.ONSET, "width": 1, "dash": "dot"})
    heights = spread([point.score.value for point in points], LABEL_DISTANCE * (high - low))
    for point, height in zip(points, heights, strict=True):
        _add_label(figure, point, height, right, 0.02 * (right - left))
        _add_mark(figure, point)
    figure.update_xaxes(
        title_text=f"{label} gap, train {theme.MINUS} validation",
        range=[left, right + LABEL_COLUMN * (right - left)],
        tickvals=round_ticks(left, right),
        tickformat=".3~f",
        showgrid=True,
        zeroline=True,
        zerolinecolor=theme.MUTED,
        zerolinewidth=1,
    )
    figure.update_yaxes(title_text=f"validation {label}", range=[low, high], tickformat=".2f")
    return figure


def _add_mark(figure: go.Figure, point: _Point) -> None:
    style = theme.VERDICTS[point.family.verdict.label]
    pale = theme.translucent(style.color, 0.45)
    told = f"{point.family.label}, {point.family.verdict.label}<br>validation %{{y:.3f}}, gap %{{x:.3f}}<extra></extra>"
    figure.add_scatter(
        x=[point.gap.value],
        y=[point.score.value],
        mode="markers",
        marker={"color": style.color, "symbol": style.mark, "size": 10},
        error_x=error_bars([point.gap], pale),
        error_y=error_bars([point.score], pale),
        hovertemplate=told,
    )


def _add_label(figure: go.Figure, point: _Point, height: float, right: float, margin: float) -> None:
    """The name at `height` beyond `right`, and a thin line to it from the mark."""
    figure.add_scatter(
        x=[point.gap.value, right + margin],
        y=[point.score.value, height],
        mode="lines",
        line={"color": theme.translucent(theme.MUTED, 0.35), "width": 0.8},
        hoverinfo="skip",
    )
    name = point.family.label
    figure.add_annotation(
        x=right + 1.5 * margin,
        y=height,
        text=f"<b>{name}</b>" if point.family.kind == "deep" else name,
        font={"color": theme.VERDICTS[point.family.verdict.label].color, "size": 12},
        showarrow=False,
        xanchor="left",
    )


def spread(values: Sequence[float], distance: float) -> list[float]:
    """Positions near `values`, in the same order, at least `distance` apart: so that labels do not overlap."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    blocks: list[list[int]] = []
    for index in order:
        blocks.append([index])
        while len(blocks) > 1 and _bottom(blocks[-1], values, distance) < _top(blocks[-2], values, distance) + distance:
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    positions = [0.0] * len(values)
    for block in blocks:
        for step, index in enumerate(block):
            positions[index] = _bottom(block, values, distance) + step * distance
    return positions


def _bottom(block: Sequence[int], values: Sequence[float], distance: float) -> float:
    """Lowest position of a block of touching labels, centred on the mean of what they name."""
    return sum(values[i] for i in block) / len(block) - distance * (len(block) - 1) / 2


def _top(block: Sequence[int], values: Sequence[float], distance: float) -> float:
    return _bottom(block, values, distance) + distance * (len(block) - 1)
