"""The verdict on a model that draws images. docs/explanation/verdicts.md explains the rules."""

from __future__ import annotations

from heldout.analysis import words
from heldout.analysis.intervals import Estimate
from heldout.analysis.measures import Measures
from heldout.analysis.verdict import Case, Label, Reference, Verdict
from heldout.config.analysis import AnalysisConfig


def judge_generator(measures: Measures, reference: Reference | None, cfg: AnalysisConfig) -> Verdict:
    """Judge what the kept model of a finished run draws.

    `reference` is the best of the other families on the same data that does not copy train, or None. The rules are
    tried in this order and the first that applies decides: too few examples, memorising, underfit by its own likeness,
    underfit by its recall, overfit, underfit beside the reference, copies undecided, no better than chance; else good.
    """
    case = _Drawing(measures, reference, cfg)
    for rule in (
        case.too_few_examples,
        case.memorising,
        case.underfit,
        case.misses_much,
        case.overfit_by_copies,
        case.below_reference,
        case.copies_undecided,
        case.chance_within_interval,
    ):
        verdict = rule()
        if verdict is not None:
            return verdict
    return case.verdict(Label.good, case.copies_sentence())


def copies(measures: Measures, cfg: AnalysisConfig) -> bool:
    """Whether a share of what is drawn is copied from train that cannot be put down to chance."""
    return _of(measures, "copied").lower >= cfg.overfit_copied


class _Drawing(Case):
    @property
    def copied(self) -> Estimate:
        return _of(self.measures, "copied")

    @property
    def closer(self) -> Estimate:
        return _of(self.measures, "closer")

    def verdict(self, label: Label, deciding: str) -> Verdict:
        """`deciding` first, then whatever else is known, without repeating it."""
        context = [
            self.copies_sentence(),
            self.closer_sentence(),
            self.likeness_sentence(),
            self.cover_sentence(),
            self.critic_sentence(),
        ]
        return Verdict(label, [deciding] + [sentence for sentence in context if sentence and sentence != deciding])

    def memorising(self) -> Verdict | None:
        if not copies(self.measures, self.cfg) or self.closer.lower <= 0.5:
            return None
        return self.verdict(
            Label.memorising,
            f"It draws copies: {words.share(self.copied.value)} of what it draws, by estimate "
            f"({words.range_of_shares(self.copied, self.cfg.confidence)}), and its images lie closer to train than new "
            f"ones do in {words.share(self.closer.value)} of the comparisons.",
        )

    def misses_much(self) -> Verdict | None:
        of_real = _of(self.measures, "recall_of_real").value
        if _of(self.measures, "recall").upper >= self.cfg.underfit_recall * of_real:
            return None
        return self.verdict(Label.underfit, self.cover_sentence())

    def overfit_by_copies(self) -> Verdict | None:
        if not copies(self.measures, self.cfg):
            return None
        return self.verdict(Label.overfit, self.copies_sentence())

    def copies_undecided(self) -> Verdict | None:
        straddles = self.copied.lower < self.cfg.overfit_copied <= self.copied.upper
        if not straddles or (self.copied.width or 0.0) <= self.cfg.max_copied_width:
            return None
        return self.verdict(Label.not_enough_evidence, self.copies_sentence())

    def copies_sentence(self) -> str:
        where = "train" if self.copied.value > 0 else "any other"
        told = words.range_of_shares(self.copied, self.cfg.confidence)
        start = (
            f"By how often an image of {where} is the nearest to a drawn one, {words.share(max(0.0, self.copied.value))} "
            f"of what it draws is copied from train ({told})"
        )
        limit = words.share(self.cfg.overfit_copied)
        if self.copied.lower >= self.cfg.overfit_copied:
            return f"{start}: more than {limit}, beyond chance."
        if self.copied.upper >= self.cfg.overfit_copied:
            wide = (self.copied.width or 0.0) > self.cfg.max_copied_width
            return f"{start}: {'too wide an interval to tell' if wide else 'not shown to be more than ' + limit}."
        return f"{start}: less than {limit}."

    def closer_sentence(self) -> str:
        told = words.range_of_shares(self.closer, self.cfg.confidence)
        start = f"What it draws lies closer to train than new images do in {words.share(self.closer.value)} of the "
        if self.closer.lower > 0.5:
            return f"{start}comparisons ({told}), which 50 % would be by chance."
        if self.closer.upper < 0.5:
            return f"{start}comparisons ({told}): it lies further away, as what is blurred or noisy does."
        return f"{start}comparisons ({told}), as often as not."

    def likeness_sentence(self) -> str:
        return (
            f"Likeness is {words.interval(self.validation, self.cfg.confidence)} on validation: {self.measures.scoring.chance} "
            "would give 0, other real images 1.".replace("Drawing", "drawing")
        )

    def cover_sentence(self) -> str:
        recall, of_real = _of(self.measures, "recall"), _of(self.measures, "recall_of_real")
        precision = _of(self.measures, "precision")
        return (
            f"{words.share(recall.value)} of the validation images lie among as many drawn ones "
            f"({words.range_of_shares(recall, self.cfg.confidence)}), {words.share(of_real.value)} among as many of "
            f"train; of the drawn ones {words.share(precision.value)} lie among real ones "
            f"({words.range_of_shares(precision, self.cfg.confidence)})."
        )

    def critic_sentence(self) -> str:
        if "critic" not in self.measures.drawn:
            return ""
        gap = self.measures.gap("critic", "kept")
        knows = "it knows train, which need not show in what is drawn" if gap.value.lower > 0 else "no more of train"
        return (
            f"The critic scores an image of train above a drawn one in {words.share(gap.train)} of the pairs, one of "
            f"validation in {words.share(gap.validation)}: {knows}."
        )


def _of(measures: Measures, name: str) -> Estimate:
    return measures.drawn[name]["validation"]
