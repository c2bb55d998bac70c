"""The verdict on a model that draws images. docs/explanation/verdicts.md explains the rules."""

from __future__ import annotations

from heldout.analysis import words
from heldout.analysis.intervals import Estimate
from heldout.analysis.measures import Measures
from heldout.analysis.verdict import Case, Label, Reference, Verdict, first_of
from heldout.config.analysis import AnalysisConfig

# of comparisons of which no side is favoured
BY_CHANCE = 0.5


def judge_generator(measures: Measures, reference: Reference | None, cfg: AnalysisConfig) -> Verdict:
    """Judge what the kept model of a finished run draws.

    `reference` is the best of the other families on the same data that does not copy train, or None. The rules are
    tried in this order and the first that applies decides: too few examples, memorising, underfit by its own likeness,
    underfit by its recall, overfit, underfit beside the reference, copies undecided, no better than chance; else good.
    """
    case = _Drawing(measures, reference, cfg)
    decided = first_of(
        case.too_few_examples,
        case.memorising,
        case.underfit,
        case.misses_much,
        case.overfit_by_copies,
        case.below_reference,
        case.copies_undecided,
        case.chance_within_interval,
    )
    return decided or case.verdict(Label.good, case.copies_sentence())


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
        if not copies(self.measures, self.cfg) or self.closer.lower <= BY_CHANCE:
            return None
        return self.verdict(Label.memorising, self.copies_sentence())

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
        if not self._straddles_copied() or not self._is_wide():
            return None
        return self.verdict(Label.not_enough_evidence, self.copies_sentence())

    def copies_sentence(self) -> str:
        """What the nearest neighbours say."""
        start = (
            f"{words.share(max(0.0, self.copied.value))} of the drawn images are copied from train "
            f"({words.range_of_shares(self.copied, self.cfg.confidence)}), by how often one of train is the nearest: "
        )
        limit = words.share(self.cfg.overfit_copied)
        if self._straddles_copied():
            wide = f"the interval is too wide to tell whether more than {limit}"
            return start + (wide if self._is_wide() else f"more than {limit} is not shown") + "."
        return start + ("more" if self.copied.lower >= self.cfg.overfit_copied else "less") + f" than {limit}."

    def closer_sentence(self) -> str:
        """What the distances to train say."""
        start = (
            f"In {words.share(self.closer.value)} of the comparisons "
            f"({words.range_of_shares(self.closer, self.cfg.confidence)}) a drawn image lies closer to train than a "
            "validation image of its kind: "
        )
        if self.closer.lower > BY_CHANCE:
            return f"{start}more often than chance would have it, as copies do."
        if self.closer.upper < BY_CHANCE:
            return f"{start}it lies apart, as what is blurred or noisy does."
        return f"{start}about as often as not."

    def likeness_sentence(self) -> str:
        """Where the score lies between its ends."""
        told = words.interval(self.validation, self.cfg.confidence)
        return f"Likeness to validation is {told}; {self.measures.scoring.chance.lower()} gives 0, real images 1."

    def cover_sentence(self) -> str:
        """Recall and precision."""
        recall, of_real = _of(self.measures, "recall"), _of(self.measures, "recall_of_real")
        precision = _of(self.measures, "precision")
        return (
            f"Drawn images cover {words.share(recall.value)} of validation "
            f"({words.range_of_shares(recall, self.cfg.confidence)}), where as many of train cover "
            f"{words.share(of_real.value)}; {words.share(precision.value)} of them "
            f"({words.range_of_shares(precision, self.cfg.confidence)}) lie among validation images."
        )

    def critic_sentence(self) -> str:
        """What the critic knows of train, which need not show in what is drawn."""
        if "critic" not in self.measures.drawn:
            return ""
        gap = self.measures.gap("critic", "kept")
        sides = f"{words.share(gap.train)} of the pairs, one of validation in {words.share(gap.validation)}"
        knows = "it has learned some of train by heart" if gap.value.lower > 0 else "it knows train no better"
        told = words.interval(gap.value, self.cfg.confidence)
        return f"The critic prefers an image of train to a drawn one in {sides}, a gap of {told}: {knows}."

    def _straddles_copied(self) -> bool:
        return self.copied.lower < self.cfg.overfit_copied <= self.copied.upper

    def _is_wide(self) -> bool:
        return (self.copied.width or 0.0) > self.cfg.max_copied_width


def _of(measures: Measures, name: str) -> Estimate:
    return measures.drawn[name]["validation"]
