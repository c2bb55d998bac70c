"""A selection in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from heldout.analysis.intervals import Estimate
from heldout.analysis.selection.selection import Selection
from heldout.analysis.selection.steps import Judgement, Step

# what else makes a drop, and what would make it less uncertain
SEED_CAUSE, SEED_REMEDY = "seeds that are not alike or refits that are not like the trials", "more fresh seeds"
TEST_CAUSE, TEST_REMEDY = "test examples of another kind", "more examples in validation and test"


def sentences(selection: Selection) -> list[str]:
    """What a reader should know, the most important first; one or two sentences each, with the numbers in them."""
    return _Words(selection).all()


@dataclass(frozen=True)
class _Words:
    of: Selection

    def all(self) -> list[str]:
        if self.of.leader is None:
            return [f"{self._trials()}, none of which finished with a finite score: there is nothing to choose from."]
        told = [self.seen(), self.luck(), self.uneven(), self.pruned(), self.winner(), self.test(), self.luck_of_test()]
        told += [self.corrected(), self.not_finite()]
        return [sentence for sentence in told if sentence]

    def seen(self) -> str:
        of = self.of
        n = of.counts.competing
        best = f"The best of {n} finished trials" if n > 1 else "The only trial that finished"
        start = f"{best}, trial {of.leader}, showed {self._article()} of {self._number(of.seen)} on validation"
        if of.fresh is None:
            why = "without refits" if of.winner is None else "as it was not refitted"
            return f"{start}; {why} on fresh seeds, how much of this is the luck of its seed cannot be known."
        start += "" if of.folds is None else f" ({of.folds}-fold)"
        return f"{start}; on {_seeds(of.fresh_seeds)} its settings reach {self._estimate(of.fresh)}."

    def luck(self) -> str:
        step = self.of.to_fresh
        if step is None:
            return ""
        drop = f"{self._worse(step.drop)} of {self._difference(step.drop)}"
        if self.of.folds is not None:
            return (
                f"Trials were scored on {self.of.folds} folds and refits on the validation split, so the {drop} is one "
                "between different examples too: how much of it is luck cannot be known."
            )
        if step.luck is None or step.most is None:
            return (
                f"Whether luck explains the {drop} cannot be known: that takes two fresh seeds of a configuration, "
                "to see how much seeds differ."
            )
        competing = self.of.counts.competing
        choice = f"Choosing the best of {competing}" if competing > 1 else "Chance"
        explained = (
            f"{choice} would by itself explain {self._luck(step.luck)}, and up to {self._number(step.most)} "
            "in a single sweep"
        )
        return f"{explained}; the {drop} {self._judged(step, SEED_CAUSE, SEED_REMEDY)}."

    def uneven(self) -> str:
        spreads = self.of.uneven_spreads
        if not spreads:
            return ""
        steady, erratic = (pick(spreads, key=lambda trial: spreads[trial]) for pick in (min, max))
        widest = f"{self._number(spreads[erratic])} for trial {erratic}"
        return (
            f"Seeds matter more for some settings than for others: scores spread by {widest} and by "
            f"{self._number(spreads[steady])} for trial {steady}. What luck explains is reckoned with their average."
        )

    def pruned(self) -> str:
        counts, luck = self.of.counts, self.of.pruned_luck
        if luck is None:
            return ""
        return (
            f"{_count(counts.pruned, 'pruned trial')} did not compete to the end; had they, as good as the others, "
            f"it would be {self._luck(luck)}. The truth lies between the two."
        )

    def winner(self) -> str:
        of = self.of
        if of.winner is None or of.winner_fresh is None:
            return ""
        kept = f"Trial {of.winner} is kept"
        if of.lead is None:
            return f"{kept}; no other was refitted." if of.winner != of.leader else ""
        own = "" if of.winner == of.leader else f": {self._estimate(of.winner_fresh)} on fresh seeds"
        ahead = f"{self._difference(of.lead.ahead)} ahead of trial {of.lead.runner_up}"
        if of.lead.distinguishable:
            return f"{kept}{own}, {ahead}: it is the better one."
        if of.lead.ahead.width is None:
            return f"{kept}{own}, {ahead}; whether that is luck cannot be known from so few seeds."
        return f"{kept}{own}, {ahead}: the two cannot be told apart."

    def test(self) -> str:
        of = self.of
        if of.test is None:
            return ""
        score = f"On test, trial {of.winner} reaches {self._estimate(of.test)}"
        if of.to_test is None:
            return f"{score}."
        drop = of.to_test.drop
        if float(self._number(drop.value)) == 0:
            return f"{score}, as on validation with the same seeds: a difference of {self._difference(drop)}."
        side = self._side(drop.value)
        if drop.value < 0:
            drop = _opposite(drop)
        return f"{score}, {self._difference(drop)} {side} validation on the same seeds."

    def luck_of_test(self) -> str:
        step = self.of.to_test
        if step is None or step.luck is None:
            return ""
        return (
            f"Having been chosen on these validation examples would explain {self._luck(step.luck)}; "
            f"the difference {self._judged(step, TEST_CAUSE, TEST_REMEDY)}."
        )

    def corrected(self) -> str:
        if self.of.corrected is None:
            return ""
        return (
            "Corrected for the luck of the validation examples, though not of the seed, its fit is worth "
            f"{self._estimate(self.of.corrected)} on new examples."
        )

    def not_finite(self) -> str:
        count = self.of.counts.not_finite
        if count == 0:
            return ""
        return f"{_count(count, 'finished trial')} had no finite score and did not compete."

    def _judged(self, step: Step, cause: str, remedy: str) -> str:
        if step.judgement is Judgement.larger:
            return f"is larger than that: look for another cause, such as {cause}"
        if step.judgement is Judgement.unresolved:
            return f"is too uncertain to tell from none, or from more than luck: {remedy} would help"
        return "is no more than that"

    def _trials(self) -> str:
        counts = self.of.counts
        return _count(counts.finished + counts.pruned + counts.failed, "trial")

    def _article(self) -> str:
        return f"{'an' if self.of.metric[0] in 'aeiou' else 'a'} {self.of.metric}"

    def _worse(self, drop: Estimate) -> str:
        return "drop" if self.of.mode == "max" else "rise"

    def _side(self, drop: float) -> str:
        return "below" if (drop >= 0) == (self.of.mode == "max") else "above"

    def _luck(self, luck: Estimate) -> str:
        return f"a {self._worse(luck)} of {self._difference(luck)}"

    def _estimate(self, estimate: Estimate) -> str:
        if estimate.low is None or estimate.high is None:
            return self._number(estimate.value)
        ends = f"{self._number(estimate.low)} to {self._number(estimate.high)}"
        return f"{self._number(estimate.value)} ({ends})"

    _difference = _estimate

    def _number(self, value: float | None) -> str:
        text = f"{value or 0.0:.{decimals(self.of)}f}"
        return text.removeprefix("-") if float(text) == 0 else text


def _opposite(of: Estimate) -> Estimate:
    if of.low is None or of.high is None:
        return Estimate(-of.value)
    return Estimate(-of.value, -of.high, -of.low)


def decimals(of: Selection) -> int:
    """Decimals with which scores are shown: three for an accuracy, else as many as give three significant digits."""
    scale = abs(of.seen or 0.0)
    if of.metric == "accuracy" or scale == 0:
        return 3
    return min(6, max(0, 2 - math.floor(math.log10(scale))))


def _seeds(count: int) -> str:
    return _count(count, "fresh seed")


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' if count != 1 else ''}"
