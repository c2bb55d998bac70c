"""Which trial is kept, by its fresh seeds alone."""

from __future__ import annotations

import math

import pytest

from heldout.analysis.selection import NoWinnerError, Refit, choose_winner
from heldout.analysis.selection.winner import rank_refits


def of(scores: dict[int, list[float | None]]) -> list[Refit]:
    return [Refit(trial, seed, score) for trial, values in scores.items() for seed, score in enumerate(values)]


@pytest.mark.parametrize(("mode", "winner"), [("max", 7), ("min", 2)])
def test_the_best_mean_over_fresh_seeds_is_kept(mode: str, winner: int) -> None:
    # trial 2 has the best single seed and the worst mean
    assert choose_winner(of({2: [0.99, 0.5, 0.5], 4: [0.8, 0.8, 0.8], 7: [0.9, 0.85, 0.8]}), mode) == winner


def test_of_equal_means_the_lower_trial_number_wins() -> None:
    assert choose_winner(of({9: [0.9], 3: [0.9], 5: [0.8]}), "max") == 3


@pytest.mark.parametrize("failure", [None, math.nan, math.inf])
def test_a_trial_that_sometimes_fails_comes_after_those_that_do_not(failure: float | None) -> None:
    refits = of({1: [0.99, failure], 2: [0.7, 0.7], 3: [failure, failure]})
    assert rank_refits(refits, "max") == [2, 1]


def test_without_a_finished_refit_there_is_no_winner() -> None:
    with pytest.raises(NoWinnerError, match="none of the 2 refits finished"):
        choose_winner(of({1: [None, math.nan]}), "max")
