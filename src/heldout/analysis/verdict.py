"""The verdict on a run, with its evidence in words. docs/explanation/verdicts.md explains the rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from heldout.analysis import words
from heldout.analysis.intervals import Estimate
from heldout.analysis.measures import Measures
from heldout.config.analysis import AnalysisConfig


class Label(StrEnum):
    """What can be said of a model."""

    underfit = "underfit"
    good = "good"
    overfit = "overfit"
    memorising = "memorising"
    not_enough_evidence = "not enough evidence"


@dataclass(frozen=True)
class Verdict:
    """A label and the sentences that carry it; the first is the one that decided."""

    label: Label
    evidence: list[str]


@dataclass(frozen=True)
class Reference:
    """The family that does best on validation, with its score there: what can be learned here."""

    family: str
    score: Estimate


def unfinished(status: str, error: str | None) -> Verdict:
    """The verdict on a run that failed or was killed."""
    return Verdict(Label.not_enough_evidence, [f"The run {status}: {error}" if error else f"The run was {status}."])


def judge(measures: Measures, reference: Reference | None, cfg: AnalysisConfig) -> Verdict:
    """Judge the kept model of a finished run.

    `reference` is the best of the other families on the same data, or None. The rules are tried in this order and
    the first that applies decides: too few examples, memorising, underfit by its own score, overfit by the whole
    interval of the gap, overfit by the loss, underfit beside the reference, overfit by the middle of the interval,
    gap undecided, no better than chance; else good.
    """
    case = Case(measures, reference, cfg)
    decided = first_of(
        case.too_few_examples,
        case.memorising,
        case.underfit,
        case.overfit_by_whole_interval,
        case.overfit_by_loss,
        case.below_reference,
        case.overfit_by_middle,
        case.gap_undecided,
        case.chance_within_interval,
    )
    return decided or case.verdict(Label.good, case.gap_sentence())


def first_of(*rules: Callable[[], Verdict | None]) -> Verdict | None:
    """What the first rule says that applies; None where none does."""
    return next((verdict for rule in rules if (verdict := rule()) is not None), None)


@dataclass(frozen=True)
class Case:
    """A run to be judged: rules that may decide, and sentences about it."""

    measures: Measures
    reference: Reference | None
    cfg: AnalysisConfig

    @property
    def gap(self) -> Estimate:
        return self.measures.gap("score", "kept").value

    @property
    def train(self) -> Estimate:
        return self.measures.score["train"]

    @property
    def validation(self) -> Estimate:
        return self.measures.score["validation"]

    @property
    def label(self) -> str:
        """Of the score, within a sentence."""
        return self.measures.scoring.score.label

    @property
    def begins(self) -> str:
        """Of the score, at the beginning of one."""
        return words.capitalised(self.label)

    def verdict(self, label: Label, deciding: str) -> Verdict:
        """`deciding` first, then whatever else is known, without repeating it."""
        context = [self.gap_sentence(), self.chance_sentence(), self.onset_sentence()]
        return Verdict(label, [deciding] + [sentence for sentence in context if sentence and sentence != deciding])

    def too_few_examples(self) -> Verdict | None:
        n = self.measures.examples["validation"]
        if n >= self.cfg.min_examples:
            return None
        return self.verdict(
            Label.not_enough_evidence, f"There are {n} validation examples; {self.cfg.min_examples} are needed."
        )

    def memorising(self) -> Verdict | None:
        end = self.measures.gap("score", "end")
        chance, limit = self.measures.chance, self.cfg.memorising_validation_lift
        # the kept epoch may come before the examples are learned by heart; the end of training shows it
        learned = max(self.train.value, end.train)
        lift = max(chance.lift(self.validation.upper), chance.lift(end.validation))
        if learned < self.cfg.memorising_train_score or lift >= limit:
            return None
        when = "" if self.train.value >= end.train else f" by epoch {end.epoch}"
        return self.verdict(
            Label.memorising,
            f"Train {self.label} reaches {words.score(learned)}{when} while validation stays near chance, "
            f"{words.interval(self.validation, self.cfg.confidence)}: what was learned does not carry over.",
        )

    def underfit(self) -> Verdict | None:
        if not self.measures.scoring.ceiling_is_known:
            return self.nothing_learned()
        lift = self.measures.chance.lift(self.train.value)
        if lift >= self.cfg.underfit_lift:
            return None
        return self.verdict(
            Label.underfit,
            f"Even on train, {self.label} is {words.interval(self.train, self.cfg.confidence)}: "
            f"{words.share(lift)} of the way from chance ({words.score(self.measures.chance.level)}) to 1, "
            f"less than {words.share(self.cfg.underfit_lift)}.",
        )

    def nothing_learned(self) -> Verdict | None:
        """How much of the way to 1 can be covered at all is not known where noise sets a limit."""
        if self.train.lower > self.measures.chance.level:
            return None
        return self.verdict(
            Label.underfit,
            f"Even on train, {self.label} {words.interval(self.train, self.cfg.confidence)} cannot be told from "
            f"{words.score(self.measures.chance.level)}, which takes no inputs.",
        )

    def overfit_by_whole_interval(self) -> Verdict | None:
        if self.gap.lower < self.cfg.overfit_gap:
            return None
        return self.verdict(Label.overfit, self.gap_sentence())

    def overfit_by_middle(self) -> Verdict | None:
        if self._undecided() or self.gap.value < self.cfg.overfit_gap:
            return None
        return self.verdict(Label.overfit, self.gap_sentence())

    def overfit_by_loss(self) -> Verdict | None:
        onset, kept = self.measures.onset, self.measures.kept_epoch
        loss = self.measures.loss["validation"]
        if onset.epoch is None or onset.lowest is None or kept <= onset.epoch:
            return None
        rise = loss / onset.lowest - 1 if onset.lowest > 0 else 0.0
        if rise < self.cfg.overfit_loss_rise:
            return None
        return self.verdict(
            Label.overfit,
            f"At the kept epoch {kept} validation loss is {words.loss(loss)}, {words.share(rise)} above its "
            f"lowest level of {words.loss(onset.lowest)} around epoch {onset.epoch}.",
        )

    def below_reference(self) -> Verdict | None:
        if self.reference is None or self.train.upper >= self.reference.score.lower:
            return None
        return self.verdict(
            Label.underfit,
            f"{self.begins} on train, {words.interval(self.train, self.cfg.confidence)}, is below the "
            f"{words.score(self.reference.score.value)} that {self.reference.family} reaches on "
            "validation: there was more to learn.",
        )

    def gap_undecided(self) -> Verdict | None:
        if not self._undecided():
            return None
        return self.verdict(Label.not_enough_evidence, self.gap_sentence())

    def chance_within_interval(self) -> Verdict | None:
        if self.validation.lower > self.measures.chance.level:
            return None
        return self.verdict(
            Label.not_enough_evidence,
            f"Validation {self.label} {words.interval(self.validation, self.cfg.confidence)} cannot be told from "
            f"chance, {words.score(self.measures.chance.level)}.",
        )

    def gap_sentence(self) -> str:
        gap, threshold = self.gap, f"{self.cfg.overfit_gap:g}"
        start = (
            f"{self.begins} is {words.score(self.train.value)} on train and {words.score(self.validation.value)} "
            f"on validation; the gap of {words.interval(gap, self.cfg.confidence)} "
        )
        if not self._straddles():
            return f"{start}lies {'above' if gap.value >= self.cfg.overfit_gap else 'below'} {threshold}."
        if self._undecided():
            needed = self._examples_needed()
            return (
                f"{start}reaches to both sides of {threshold} and is too wide to decide; "
                f"about {needed:,} validation examples would."
            )
        return f"{start}reaches to both sides of {threshold}, narrow enough for its middle to decide."

    def chance_sentence(self) -> str:
        chance = self.measures.chance
        how = "Always naming the most frequent class" if chance.majority else self.measures.scoring.chance
        return (
            f"{how} gives {words.score(chance.level)}; validation covers "
            f"{words.share(max(0.0, chance.lift(self.validation.value)))} of the way from there to 1."
        )

    def onset_sentence(self) -> str:
        onset, kept = self.measures.onset, self.measures.kept_epoch
        if self.measures.epochs == 1:
            return ""
        if onset.epoch is None or onset.lowest is None or onset.final is None or onset.rise is None:
            return f"No onset of overfitting in {self.measures.epochs} epochs: {onset.reason}."
        spared = "is not later, so the kept model was spared that" if kept <= onset.epoch else "is later"
        return (
            f"From epoch {onset.epoch} validation loss rises, {words.loss(onset.lowest)} to "
            f"{words.loss(onset.final)} (+{words.share(onset.rise)}) by epoch {self.measures.epochs}, while training "
            f"loss does not; the kept epoch {kept} {spared}."
        )

    def _straddles(self) -> bool:
        return self.gap.lower < self.cfg.overfit_gap <= self.gap.upper

    def _undecided(self) -> bool:
        return self._straddles() and (self.gap.width or 0.0) > self.cfg.max_interval_width

    def _examples_needed(self) -> int:
        """Validation examples with which the interval would be narrow enough; it shrinks as 1 / sqrt(n)."""
        factor = (self.gap.width or 0.0) / self.cfg.max_interval_width
        return _rounded_up(self.measures.examples["validation"] * factor**2)


def _rounded_up(number: float) -> int:
    """Up to two significant digits: more would pretend to know."""
    step = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return int(math.ceil(number / step) * step)
