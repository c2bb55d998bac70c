"""Colours and fonts shared by figures and page.

Train is grey and validation blue throughout. The verdict colours are told apart with every common colour blindness
(after Okabe and Ito 2008) and dark enough to be read as text on white; each has a symbol of its own besides.
"""

from __future__ import annotations

from dataclasses import dataclass

from heldout.analysis.verdict import Label

FONT = 'Inter, "Segoe UI", system-ui, -apple-system, "Helvetica Neue", Arial, "DejaVu Sans", sans-serif'
INK = "#1d2530"
MUTED = "#69727f"
LINE = "#e3e6ea"
TRAIN = "#8d97a5"
VALIDATION = "#1f6fb2"
TEST = "#1d2530"
ONSET = "#d9822b"
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class VerdictStyle:
    """color: for text and marks; mark: name of the Plotly marker; sign: a character for the page."""

    color: str
    mark: str
    sign: str


VERDICTS: dict[Label, VerdictStyle] = {
    Label.good: VerdictStyle("#0f766e", "circle", "●"),
    Label.overfit: VerdictStyle("#b45309", "triangle-up", "▲"),
    Label.memorising: VerdictStyle("#9d2463", "diamond", "◆"),
    Label.underfit: VerdictStyle("#4653b5", "triangle-down", "▼"),
    Label.not_enough_evidence: VerdictStyle("#5d6672", "circle-open", "○"),
}


def translucent(color: str, opacity: float) -> str:
    """`color`, written #rrggbb, as an rgba() of that opacity."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
