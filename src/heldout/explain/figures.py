"""Attributions as Plotly figures, by kind of data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from heldout.data.card import Card
from heldout.report import theme
from heldout.report.figures import layout

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from heldout.explain.explain import Explained, Explanation

# against the answer, no part in it, for the answer
COLOURS = [[0.0, "#b2491b"], [0.5, "#f7f7f5"], [1.0, "#1f5fa8"]]
MOST_COLUMNS = 20
TOKENS_A_ROW = 10
# pixels of a row of tokens, and of what is above the first one of a text
TOKEN_HEIGHT, TITLE_HEIGHT = 24, 34
IMAGE_COLUMNS = 4
SIDE = 190


def figure(explanation: Explanation, card: Card, name: str) -> go.Figure:
    """The examples with what the answer rests on, and in the title whether that depends on what was learned."""
    draw = {"image": _images, "series": _series, "table": _table, "text": _texts}[card.modality]
    made = draw(explanation.examples, card)
    made.update_annotations(font_size=13)
    place = {"x": 0.01, "y": 1, "yanchor": "top", "pad": {"t": 14}, "font": {"size": 16}}
    made.update_layout(title={"text": _title(explanation, name), **place})
    return made


def _title(explanation: Explanation, name: str) -> str:
    value = explanation.rank_correlation
    told = "undefined" if value is None else f"{value:.2f}"
    return (
        f"<b>{explanation.method.name.replace('_', ' ')}</b>, {name}<br>"
        f'<span style="font-size:12px;color:{theme.MUTED}">Rank correlation with the same under random weights: {told} '
        "(near 0: it depends on what was learned; near 1: it does not)</span>"
    )


def _told(one: Explained, card: Card) -> str:
    if one.probability is None:
        return f"{one.predicted:.4g}, is {one.target:.4g}"
    target, predicted = card.classes[int(one.target)], card.classes[int(one.predicted)]
    return f"{predicted} ({one.probability:.2f}), {'right' if target == predicted else f'is {target}'}"


def _images(examples: list[Explained], card: Card) -> go.Figure:
    """Pairs of rows: the image, and what is for (blue) and against (orange) the answer."""
    from plotly.subplots import make_subplots

    columns = min(IMAGE_COLUMNS, len(examples))
    bands = math.ceil(len(examples) / columns)
    titles: list[str] = []
    for band in range(bands):
        shown = [_told(one, card) for one in examples[band * columns : (band + 1) * columns]]
        titles += shown + [""] * (2 * columns - len(shown))
    made = make_subplots(
        rows=2 * bands, cols=columns, subplot_titles=titles, horizontal_spacing=0.02, vertical_spacing=0.12 / bands
    )
    for index, one in enumerate(examples):
        place = {"row": 2 * (index // columns) + 1, "col": index % columns + 1}
        made.add_trace(_picture(one.inputs["x"]), **place)
        values = one.attributions["x"]
        made.add_heatmap(z=values, **_scale(values), row=place["row"] + 1, col=place["col"])
    made.update_xaxes(visible=False, constrain="domain")
    made.update_yaxes(visible=False, autorange="reversed", scaleanchor="x", constrain="domain")
    for index in range(2 * bands * columns):
        # each image keeps its own shape
        made.update_yaxes(
            scaleanchor=f"x{index + 1 if index else ''}", row=index // columns + 1, col=index % columns + 1
        )
    made.update_layout(layout(110 + 2 * bands * SIDE, margin={"l": 8, "r": 8, "t": 90, "b": 8}, hovermode="closest"))
    return made


def _picture(x: np.ndarray) -> Any:
    import plotly.graph_objects as go

    pixels = np.moveaxis(x, 0, 2)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return go.Image(z=pixels.astype(np.uint8))


def _series(examples: list[Explained], card: Card) -> go.Figure:
    """A band an example: its channels as lines over the attributions of each channel and step."""
    from plotly.subplots import make_subplots

    made = make_subplots(
        rows=2 * len(examples),
        cols=1,
        subplot_titles=[title for one in examples for title in (_told(one, card), "")],
        vertical_spacing=0.18 / (2 * len(examples)),
        row_heights=[0.65, 0.35] * len(examples),
    )
    for index, one in enumerate(examples):
        x, values = one.inputs["x"][:, : one.length], one.attributions["x"][:, : one.length]
        for channel in x:
            made.add_scatter(y=channel, line={"color": theme.INK, "width": 1}, mode="lines", row=2 * index + 1, col=1)
        made.add_heatmap(z=values, **_scale(values), row=2 * index + 2, col=1)
        made.update_xaxes(range=[-0.5, x.shape[1] - 0.5], row=2 * index + 1, col=1, showticklabels=False)
        is_last = index == len(examples) - 1
        made.update_xaxes(range=[-0.5, x.shape[1] - 0.5], row=2 * index + 2, col=1, showticklabels=is_last)
        made.update_yaxes(visible=False, row=2 * index + 2, col=1)
    margin = {"l": 48, "r": 12, "t": 90, "b": 30}
    made.update_layout(layout(110 + 190 * len(examples), margin=margin, hovermode="closest"))
    return made


def _table(examples: list[Explained], card: Card) -> go.Figure:
    """The columns with the largest attributions, for each example."""
    import plotly.graph_objects as go

    names = [column["name"] for column in [*card.numeric_columns, *card.categorical_columns]]
    values = np.stack([_row(one) for one in examples])
    chosen = np.argsort(-np.abs(values).mean(axis=0))[:MOST_COLUMNS]
    labels = [f"{one.id}: {_told(one, card)}" for one in examples]
    made = go.Figure(layout=layout(140 + 24 * len(chosen), margin={"l": 8, "r": 8, "t": 90, "b": 8}))
    made.add_heatmap(z=values[:, chosen].T, x=labels, y=[names[column] for column in chosen], **_scale(values))
    made.update_yaxes(autorange="reversed")
    made.update_layout(hovermode="closest")
    return made


def _row(one: Explained) -> np.ndarray:
    return np.concatenate([one.attributions[name] for name in ("numeric", "categorical") if name in one.attributions])


def _texts(examples: list[Explained], card: Card) -> go.Figure:
    """The tokens in reading order, each in the colour of its attribution."""
    from plotly.subplots import make_subplots

    from heldout.data.tokens import load_tokenizer

    tokenizer = load_tokenizer(card.tokenizer) if card.tokenizer else None
    rows = [math.ceil((one.length or 1) / TOKENS_A_ROW) for one in examples]
    made = make_subplots(
        rows=len(examples),
        cols=1,
        subplot_titles=[_told(one, card) for one in examples],
        row_heights=rows,
        vertical_spacing=TITLE_HEIGHT / (TOKEN_HEIGHT * sum(rows) + TITLE_HEIGHT * len(examples)),
    )
    for index, (one, height) in enumerate(zip(examples, rows, strict=True)):
        end = one.length or 1
        values = np.full(height * TOKENS_A_ROW, np.nan)
        values[:end] = one.attributions["tokens"][:end]
        ids = one.inputs["tokens"][:end]
        words = [str(token) if tokenizer is None else str(tokenizer.id_to_token(int(token))) for token in ids]
        words += [""] * (len(values) - end)
        made.add_heatmap(
            z=values.reshape(height, -1),
            text=np.array(words).reshape(height, -1),
            texttemplate="%{text}",
            textfont={"size": 11, "color": theme.INK},
            xgap=1,
            ygap=2,
            **_scale(values[:end]),
            row=index + 1,
            col=1,
        )
    made.update_xaxes(visible=False)
    made.update_yaxes(visible=False, autorange="reversed")
    height = 98 + TOKEN_HEIGHT * sum(rows) + TITLE_HEIGHT * len(examples)
    made.update_layout(layout(height, margin={"l": 8, "r": 8, "t": 90, "b": 8}, hovermode="closest"))
    return made


def _scale(values: np.ndarray) -> dict[str, Any]:
    most = float(np.nanmax(np.abs(values))) or 1.0
    return {"colorscale": COLOURS, "zmin": -most, "zmax": most, "showscale": False}
