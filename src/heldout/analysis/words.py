"""Numbers as they stand in a sentence."""

from __future__ import annotations

from heldout.analysis.intervals import Estimate


def score(value: float) -> str:
    """A score or a difference of two, with three decimals."""
    return f"{value:.3f}"


def loss(value: float) -> str:
    """A loss, with three significant digits."""
    return f"{value:.3g}"


def interval(estimate: Estimate, confidence: float) -> str:
    """`0.350 (95 % interval 0.312 to 0.388)`, or the value alone where there is no interval."""
    if estimate.low is None or estimate.high is None:
        return score(estimate.value)
    ends = f"{score(estimate.low)} to {score(estimate.high)}"
    return f"{score(estimate.value)} ({confidence * 100:g} % interval {ends})"


def share(value: float) -> str:
    """A share as a whole percentage."""
    return f"{value * 100:.0f} %"


def range_of_shares(estimate: Estimate, confidence: float) -> str:
    """`95 % interval 12 % to 31 %`, or that there is none."""
    if estimate.low is None or estimate.high is None:
        return "no spread"
    return f"{confidence * 100:g} % interval {share(estimate.low)} to {share(estimate.high)}"


def capitalised(text: str) -> str:
    """With a capital at the beginning; a name with one inside, such as chrF, stays as it is."""
    first = text.split()[0]
    return text if first[1:] != first[1:].lower() else text[0].upper() + text[1:]


def listed(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
