"""The inside of networks: what they cost as a table, their layers by epoch as figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from heldout.analysis.families import Family
from heldout.analysis.run import Run
from heldout.inside import Inside
from heldout.report import theme
from heldout.report.figures import layout
from heldout.report.words import NOTHING, count, number, quantity

if TYPE_CHECKING:
    import plotly.graph_objects as go

# what is shown of the layers: title, what it says, and whether its axis is logarithmic
SHOWN = {
    "gradient": ("Gradient", "L2 norm", True),
    "relative_update": ("Update", "L2 norm of an optimizer step, relative to that of the weights", True),
    "activation": ("Activation", "root mean square of the outputs", True),
    "dead": ("Dead units", "share of the units of a ReLU that are zero for every example", False),
}
ROW_HEIGHT = 190
# the first layer is pale, the last dark
PALE, DARK = (158, 202, 233), (11, 45, 84)
COLUMNS = ("layers", "parameters", "FLOPs of an example", "train", "predict", "memory", "dead units")


@dataclass(frozen=True)
class Opened:
    """A family and the inside of its first finished run that was looked into."""

    family: Family
    inside: Inside


def opened(families: Sequence[Family], runs: Sequence[Run]) -> list[Opened]:
    """The families that can be looked into, as they come."""
    found = []
    for family in families:
        of_family = (run.inside for run in runs if run.name == family.name and run.measures is not None)
        inside = next((one for one in of_family if one is not None), None)
        if inside is not None:
            found.append(Opened(family, inside))
    return found


def table(of: Sequence[Opened]) -> list[tuple[str, list[str]]]:
    """Family, and its cells under `COLUMNS`."""
    return [(one.family.label, _cells(one.inside)) for one in of]


def _cells(inside: Inside) -> list[str]:
    cost = inside.cost
    fixed = cost.parameters - cost.trainable
    return [
        count(sum(layer.parameters > 0 for layer in inside.layers)),
        count(cost.parameters) + (f", {count(fixed)} of them fixed" if fixed else ""),
        quantity(cost.flops),
        f"{quantity(cost.train_examples_per_second)} examples/s",
        f"{quantity(cost.predict_examples_per_second)} examples/s",
        f"{quantity(cost.peak_memory)}B ({cost.device})",
        _dead(inside),
    ]


def _dead(inside: Inside) -> str:
    """The layer that has most of them at the last look."""
    last = {name: values[-1] for name, values in inside.looks.values.get("dead", {}).items() if values}
    known = {name: value for name, value in last.items() if value is not None}
    if not known:
        return NOTHING
    worst = max(known, key=lambda name: known[name])
    return f"{number(known[worst], 2)} in {worst}" if known[worst] else number(0.0, 2)


def layer_values(inside: Inside, shown: str) -> dict[str, list[float | None]]:
    """A quantity of `SHOWN` by layer; layers that never have it are left out."""
    values = inside.looks.values
    if shown == "relative_update":
        pairs = {name: zip(values["update"][name], of, strict=True) for name, of in values.get("weight", {}).items()}
        by_layer = {name: [_ratio(update, weight) for update, weight in of] for name, of in pairs.items()}
    else:
        by_layer = values.get(shown, {})
    # a logarithmic axis has no place for zero
    logarithmic = SHOWN[shown][2]
    kept = {name: [None if logarithmic and value == 0 else value for value in of] for name, of in by_layer.items()}
    return {name: of for name, of in kept.items() if any(value is not None for value in of)}


def _ratio(update: float | None, weight: float | None) -> float | None:
    return update / weight if update is not None and weight else None


def layers_figure(inside: Inside) -> go.Figure:
    """All of `SHOWN` of one run, a row each, a line a layer."""
    from plotly.subplots import make_subplots

    shown = [name for name in SHOWN if layer_values(inside, name)]
    titles = [f"{SHOWN[name][0]}: {SHOWN[name][1]}" for name in shown]
    figure = make_subplots(rows=max(1, len(shown)), cols=1, shared_xaxes=True, subplot_titles=titles or None)
    order = [layer.name for layer in inside.layers]
    for row, name in enumerate(shown, start=1):
        for layer, values in layer_values(inside, name).items():
            style = line_of(order.index(layer), len(order))
            first = row == 1
            figure.add_scatter(
                x=inside.looks.epoch, y=values, name=layer, legendgroup=layer, showlegend=first, row=row, col=1, **style
            )
        figure.update_yaxes(row=row, col=1, **axis_of(name))
    figure.update_annotations(font_size=13)
    figure.update_xaxes(title_text="epoch", row=max(1, len(shown)), col=1)
    legend = {"orientation": "v", "x": 1.02, "y": 1, "traceorder": "normal"}
    margin = {"l": 64, "r": 16, "t": 40, "b": 44}
    figure.update_layout(
        layout(80 + ROW_HEIGHT * max(1, len(shown)), showlegend=True, legend=legend, hovermode="closest", margin=margin)
    )
    return figure


def line_of(position: int, layers: int) -> dict[str, Any]:
    """Style of the line of a layer."""
    share = position / max(1, layers - 1)
    red, green, blue = (round(pale + share * (dark - pale)) for pale, dark in zip(PALE, DARK, strict=True))
    return {
        "mode": "lines+markers",
        "line": {"color": f"rgb({red},{green},{blue})", "width": 1.4},
        "marker": {"size": 3},
        "hovertemplate": "%{fullData.name}, epoch %{x}: %{y:.3g}<extra></extra>",
    }


def axis_of(shown: str) -> dict[str, Any]:
    """Settings of the axis of a quantity."""
    if not SHOWN[shown][2]:
        return {"range": [0, 1], "tickformat": ".1f"}
    return {"type": "log", "exponentformat": "power", "dtick": 1, "gridcolor": theme.LINE}
