"""Numbers and sentences as the page shows them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from heldout.analysis.families import Family
from heldout.analysis.intervals import Estimate
from heldout.analysis.words import capitalised
from heldout.report.theme import MINUS

NOTHING = "\N{EN DASH}"


def number(value: float | None, decimals: int = 3) -> str:
    """A number with a true minus sign; a dash for None."""
    if value is None:
        return NOTHING
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", MINUS)


def interval(estimate: Estimate | None, decimals: int = 3) -> str:
    """`0.910 to 0.940`; empty without an interval."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return ""
    return f"{number(estimate.low, decimals)} to {number(estimate.high, decimals)}"


def setting(value: object) -> str:
    """The value of a searched setting; a dash where it does not apply."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NOTHING
    return f"{value:.4g}".replace("-", MINUS) if isinstance(value, float) else str(value)


def count(value: float | None) -> str:
    """A whole number with thousands set apart by a thin space, which no locale reads as a decimal point."""
    return NOTHING if value is None else f"{value:,.0f}".replace(",", "\u202f")


def quantity(value: float | None) -> str:
    """A large number with three digits and a prefix: `1.23 M`."""
    if value is None:
        return NOTHING
    for power, prefix in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        # what would be rounded up to the next prefix belongs there
        if value >= 0.9995 * 10**power:
            return f"{value / 10**power:.3g}\u00a0{prefix}"
    return f"{value:.3g}\u00a0"


def duration(seconds: float | None) -> str:
    """Seconds with two significant digits, minutes or hours from 90 of the smaller unit on."""
    if seconds is None:
        return NOTHING
    if seconds < 0.01:
        return "< 0.01 s"
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def epoch(value: float | None) -> str:
    """An epoch, or the median of several, which may lie halfway."""
    return NOTHING if value is None else f"{value:g}"


def shortened(text: str) -> str:
    """The first ten characters of a hash or id; anything shorter than that as it is."""
    return text[:10] if len(text) >= 32 else text or NOTHING


def prose(sentence: str) -> str:
    """A sentence of the analysis, typeset: true minus signs, and no line break before a percent sign."""
    return re.sub(r"(?<!\w)-(?=\d)", MINUS, sentence).replace(" %", "\u00a0%")


def headline(families: Sequence[Family]) -> str:
    """What a reader should take away about one data set, in one or two sentences."""
    ranked = [family for family in families if family.rank is not None]
    if not ranked:
        return "No run finished, so there is nothing to compare."
    best = ranked[0]
    score = best.score["validation"]
    sentence = f"{best.label} ranks first on validation with {_with_article(best)} of {number(score.value)}"
    sentence += f" ({interval(score)})." if interval(score) else "."
    deep = [family for family in ranked if family.kind == "deep"]
    if best.kind == "baseline":
        return sentence + (f" No deep family ranks above this baseline; {_over_baseline(deep[0])}" if deep else "")
    return sentence + " " + capitalised(_over_baseline(best))


def _with_article(family: Family) -> str:
    label = family.scoring.score.label
    return f"an {label}" if label[0] in "aeiouR" else f"a {label}"


def _over_baseline(family: Family) -> str:
    if family.lift is None:
        return "there is no baseline to compare it with."
    value, baseline, split = family.lift.value, family.lift.baseline, family.lift.split
    told = f"{number(abs(value.value))} ({interval(value)})"
    if value.lower > 0:
        return f"on {split}, {family.label} is {told} above the best baseline, {baseline}."
    if value.upper < 0:
        return f"on {split}, {family.label} is {told} below the best baseline, {baseline}."
    return f"on {split}, {family.label} cannot be told apart from the best baseline, {baseline}: {told}."
