"""Small multiples: one panel a family, so that twelve families stay readable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from heldout.analysis.curves import Curves
from heldout.analysis.families import Family
from heldout.report import theme
from heldout.report.figures import gap_of, layout, line
from heldout.report.inside import Opened, axis_of, layer_values, line_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLUMNS = 4
PANEL_HEIGHT = 168
# pixels between rows, for the titles and the ticks of the row above
GUTTER = 58
TOP, BOTTOM = 40, 26
# points a curve has at most on the page; a longer one is thinned
MOST_POINTS = 300


@dataclass(frozen=True)
class Panel:
    """A family and the curves of its finished seeds."""

    family: Family
    seeds: list[Curves]


def loss_panels(panels: Sequence[Panel]) -> go.Figure:
    """Train and validation loss by epoch; thin lines are seeds, thick ones their mean.

    The kept epoch is a dotted line; the epochs from the onset on are shaded. All panels share the axis of the loss,
    which ends where the typical panel needs it to: a curve may leave the frame above.
    """
    figure = _grid(panels)
    for index, panel in enumerate(panels):
        for split, color in (("train", theme.TRAIN), ("validation", theme.VALIDATION)):
            for curves in panel.seeds if len(panel.seeds) > 1 else []:
                _add(figure, index, curves.epoch, curves.of_split(split)[0], line(color, "seed"))
            mean = panel.family.curves
            _add(figure, index, mean.epoch, mean.of_split(split)[0], {"name": split} | line(color, "mean"))
        _decorate(figure, index, panel.family, shade_onset=True)
    figure.update_yaxes(range=[0, loss_ceiling(panels)], tickformat=".3~g")
    return figure


def gap_panels(panels: Sequence[Panel], overfit_gap: float) -> go.Figure:
    """Gap of the score, train minus validation, by epoch, over the curves of the other families in grey.

    The dashed line is the gap from which a model overfits.
    """
    figure = _grid(panels)
    for index, panel in enumerate(panels):
        for other in panels:
            if other is not panel:
                style = {"mode": "lines", "line": {"color": theme.translucent(theme.TRAIN, 0.35), "width": 0.8}}
                _add(
                    figure, index, other.family.curves.epoch, gap_of(other.family.curves), style | {"hoverinfo": "skip"}
                )
        mean = panel.family.curves
        style = {"fill": "tozeroy", "fillcolor": theme.translucent(theme.VALIDATION, 0.12), "name": "gap"}
        _add(figure, index, mean.epoch, gap_of(mean), line(theme.VALIDATION, "mean") | style)
        threshold = {"color": theme.ONSET, "width": 1, "dash": "dash"}
        figure.add_hline(y=overfit_gap, line=threshold, **_place(index))
        _decorate(figure, index, panel.family, shade_onset=False)
    figure.update_yaxes(tickformat=".2f", zeroline=True, zerolinecolor=theme.TRAIN, zerolinewidth=1)
    return figure


def layer_panels(of: Sequence[Opened], shown: str) -> go.Figure:
    """A quantity of `heldout.report.inside.SHOWN` by epoch, a line a layer: pale the first, dark the last."""
    figure = _grid([Panel(one.family, []) for one in of])
    for index, one in enumerate(of):
        order = [layer.name for layer in one.inside.layers]
        for name, values in layer_values(one.inside, shown).items():
            style = line_of(order.index(name), len(order)) | {"name": name}
            figure.add_scatter(x=one.inside.looks.epoch, y=values, **style, **_place(index))
        _decorate(figure, index, one.family, shade_onset=False)
    figure.update_yaxes(**axis_of(shown))
    figure.update_layout(hovermode="closest")
    return figure


def loss_ceiling(panels: Sequence[Panel]) -> float:
    """Top of the shared loss axis: room for the highest curve, but at most for twice the middle one."""
    highest = []
    for panel in panels:
        curves = panel.family.curves
        # the first epoch is often far above all others
        later = [v for v in [*curves.train_loss[1:], *curves.validation_loss[1:]] if v is not None]
        highest.append(max(later, default=0.0))
    if not highest:
        return 1.0
    return 1.05 * min(max(highest), 2 * sorted(highest)[len(highest) // 2]) or 1.0


def _grid(panels: Sequence[Panel]) -> go.Figure:
    from plotly.subplots import make_subplots

    rows = max(1, math.ceil(len(panels) / COLUMNS))
    inner = rows * PANEL_HEIGHT + (rows - 1) * GUTTER
    figure = make_subplots(
        rows=rows,
        cols=COLUMNS,
        shared_yaxes="all",
        horizontal_spacing=0.025,
        vertical_spacing=GUTTER / inner if rows > 1 else 0,
    )
    figure.update_layout(layout(inner + TOP + BOTTOM, margin={"l": 44, "r": 8, "t": TOP, "b": BOTTOM}))
    for index in range(len(panels), rows * COLUMNS):
        figure.update_xaxes(visible=False, **_place(index))
        figure.update_yaxes(visible=False, **_place(index))
    return figure


def _decorate(figure: go.Figure, index: int, family: Family, shade_onset: bool) -> None:
    """Title, kept epoch and onset of one panel that has its curves: Plotly draws no lines across empty ones."""
    style = theme.VERDICTS[family.verdict.label]
    axis = "" if index == 0 else str(index + 1)
    about = f"kept {family.kept_epoch:g}" + (f" · onset {family.onset:g}" if has_onset(family) else "")
    figure.add_annotation(
        text=f'<span style="color:{style.color}">{style.sign}</span> <b>{family.label}</b>'
        f'  <span style="color:{theme.MUTED};font-size:11px">{about}</span>',
        x=0,
        y=1,
        yshift=18,
        xref=f"x{axis} domain",
        yref=f"y{axis} domain",
        xanchor="left",
        yanchor="middle",
        showarrow=False,
        font={"size": 13},
    )
    last = family.curves.epoch[-1] if family.curves.epoch else 1
    if shade_onset and family.onset is not None and has_onset(family):
        shade = {"fillcolor": theme.translucent(theme.ONSET, 0.10), "line_width": 0, "layer": "below"}
        figure.add_vrect(x0=family.onset, x1=last, **shade, **_place(index))
    figure.add_vline(x=family.kept_epoch, line={"color": theme.MUTED, "width": 1, "dash": "dot"}, **_place(index))


def has_onset(family: Family) -> bool:
    """Whether more than half of the finished seeds have an onset."""
    return 2 * family.onset_seeds > len(family.seeds) - len(family.failed_seeds)


def _add(figure: go.Figure, index: int, x: Sequence[int], y: Sequence[float | None], style: dict[str, Any]) -> None:
    step = math.ceil(len(x) / MOST_POINTS) or 1
    hover = {} if style.get("hoverinfo") else {"hovertemplate": "%{y:.3f}"}
    figure.add_scatter(x=list(x[::step]), y=list(y[::step]), **hover, **style, **_place(index))


def _place(index: int) -> dict[str, int]:
    return {"row": index // COLUMNS + 1, "col": index % COLUMNS + 1}
