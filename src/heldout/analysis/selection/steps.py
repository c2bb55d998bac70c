"""The steps down from the best score seen: how far, how far luck alone would have gone, and what to make of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from heldout.analysis.intervals import Estimate


class Judgement(StrEnum):
    """What a drop says: no more than luck explains, more than that, too uncertain to say, or not known."""

    luck = "what luck explains"
    larger = "larger than luck explains"
    unresolved = "not resolvable"
    unknown = "not known"


@dataclass(frozen=True)
class Step:
    """A drop in the score, positive where it gets worse, beside the drop that luck alone would explain.

    most: the largest drop that luck would still explain in a single sweep; None where luck is not known.
    """

    drop: Estimate
    luck: Estimate | None
    most: float | None
    judgement: Judgement


def judge(drop: Estimate, luck: Estimate | None, most: float | None) -> Step:
    """Larger than luck beyond `most`; not resolvable where the interval reaches from no drop to more than `most`."""
    if luck is None or most is None:
        return Step(drop, luck, most, Judgement.unknown)
    if drop.value > most:
        return Step(drop, luck, most, Judgement.larger)
    if drop.width is None or (drop.lower <= 0 and drop.upper >= most):
        return Step(drop, luck, most, Judgement.unresolved)
    return Step(drop, luck, most, Judgement.luck)
