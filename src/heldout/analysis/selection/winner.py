"""Which configuration a sweep keeps: the one that does best on seeds that had no part in finding it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from heldout.errors import UserError


class NoWinnerError(UserError):
    """Refits of which none finished, so that there is nothing to choose from."""


@dataclass(frozen=True)
class Refit:
    """One configuration of the sweep fitted again on a fresh seed.

    objective: the sweep's validation metric at the kept epoch, None when the fit failed; record: folder of its record,
    relative to that of the sweep.
    """

    trial: int
    seed: int
    objective: float | None
    record: str | None = None

    @property
    def finished(self) -> bool:
        """Whether there is a finite objective."""
        return self.objective is not None and math.isfinite(self.objective)


def choose_winner(refits: Sequence[Refit], mode: str) -> int:
    """The trial to keep: best mean objective over its fresh seeds; `mode` is "max" or "min".

    A trial of which a refit failed comes after all that failed less often: a mean without the failures would reward
    settings that sometimes diverge. Of equal means the lower trial number wins. The scores of the sweep itself have no
    part in it. Raises NoWinnerError when no refit finished. Stable: this signature will stay.
    """
    ranking = rank_refits(refits, mode)
    if not ranking:
        raise NoWinnerError(
            f"none of the {len(refits)} refits finished with a finite objective; expected at least one. Look at the "
            "errors in their records, then refit again"
        )
    return ranking[0]


def rank_refits(refits: Sequence[Refit], mode: str) -> list[int]:
    """The trials with a finished refit, best first, by the rule of `choose_winner`."""
    scores, failures = fresh_scores(refits), dict.fromkeys((refit.trial for refit in refits), 0)
    for refit in refits:
        failures[refit.trial] += not refit.finished
    return sorted(scores, key=lambda t: (failures[t], -sign(mode) * fmean(scores[t].values()), t))


def fresh_scores(refits: Sequence[Refit]) -> dict[int, dict[int, float]]:
    """trial -> seed -> objective of the refits that finished, by trial and seed."""
    result: dict[int, dict[int, float]] = {}
    for refit in sorted(refits, key=lambda r: (r.trial, r.seed)):
        if refit.objective is not None and refit.finished:
            result.setdefault(refit.trial, {})[refit.seed] = refit.objective
    return result


def sign(mode: str) -> float:
    """1 where more is better, -1 where less is: what the objective is multiplied by to be maximised."""
    return 1.0 if mode == "max" else -1.0
