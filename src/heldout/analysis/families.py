"""A family's runs on one data set, summed up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from heldout.analysis import words
from heldout.analysis.curves import Curves, mean_curves
from heldout.analysis.intervals import Estimate, mean_over_seeds, over_seeds
from heldout.analysis.run import Run
from heldout.analysis.verdict import Label, Verdict
from heldout.record import SPLITS
from heldout.scoring import Scoring, scoring_of


@dataclass(frozen=True)
class Lift:
    """Score above that of the best baseline, on `split`; the baseline was chosen on validation."""

    baseline: str
    split: str
    value: Estimate


@dataclass(frozen=True)
class Family:
    """One configuration over its seeds; `label` is what a reader sees, unique within the data set.

    task: see heldout.scoring, which says what score, loss and others are; these are means over seeds by split
    (test only where it was opened), others by name first, and drawn the same with intervals, of models that draw.
    gap: of the score, and loss_gap of the loss, at the kept epoch; end_gap: of the score after the last. Intervals are
    over seeds; where there is one seed, or all agree, over examples, and the method of the estimate says so. Medians
    over seeds are kept_epoch, epochs and onset; onset_seeds counts the seeds that have one. rank is by validation
    score, from 1, what copies train last; None without any.
    """

    data: str
    name: str
    family: str
    label: str
    kind: str
    task: str
    rank: int | None
    seeds: list[int]
    failed_seeds: list[int]
    score: dict[str, Estimate]
    loss: dict[str, Estimate]
    others: dict[str, dict[str, float]]
    drawn: dict[str, dict[str, Estimate]]
    gap: Estimate | None
    loss_gap: Estimate | None
    end_gap: Estimate | None
    calibration_error: float | None
    kept_epoch: float | None
    epochs: float | None
    onset: float | None
    onset_seeds: int
    parameters: int | None
    fit_seconds: float | None
    lift: Lift | None
    verdict: Verdict
    curves: Curves

    @property
    def scoring(self) -> Scoring:
        """How the task is scored."""
        return scoring_of(self.task)


def summarise(runs: Sequence[Run], label: str, rank: int | None, lift: Lift | None, confidence: float) -> Family:
    """Sum up the runs of one configuration; those that did not finish count in `failed_seeds` only."""
    finished = [run for run in runs if run.measures is not None]
    measures = [run.measures for run in finished if run.measures is not None]
    splits = [split for split in SPLITS if measures and all(split in m.score for m in measures)]
    score = {split: over_seeds([m.score[split] for m in measures], confidence) for split in splits}
    onsets = [m.onset.epoch for m in measures if m.onset.epoch is not None]
    first = runs[0]
    scoring = scoring_of(first.task)
    return Family(
        data=first.data,
        name=first.name,
        family=first.family,
        label=label,
        kind=first.kind,
        task=first.task,
        rank=rank,
        seeds=[run.seed for run in runs],
        failed_seeds=[run.seed for run in runs if run.measures is None],
        score={split: _within(estimate, scoring) for split, estimate in score.items()},
        loss={split: mean_over_seeds([m.loss[split] for m in measures], confidence) for split in splits},
        others={
            name: {split: fmean(m.others[name][split] for m in measures) for split in measures[0].others[name]}
            for name in (measures[0].others if measures else {})
        },
        drawn={
            name: {split: over_seeds([m.drawn[name][split] for m in measures], confidence) for split in splits}
            for name in (measures[0].drawn if measures else {})
        },
        gap=over_seeds([m.gap("score", "kept").value for m in measures], confidence) if measures else None,
        loss_gap=over_seeds([m.gap("loss", "kept").value for m in measures], confidence) if measures else None,
        end_gap=over_seeds([m.gap("score", "end").value for m in measures], confidence) if measures else None,
        calibration_error=_mean([m.calibration_error for m in measures if m.calibration_error is not None]),
        kept_epoch=_median([m.kept_epoch for m in measures]),
        epochs=_median([m.epochs for m in measures]),
        onset=_median(onsets),
        onset_seeds=len(onsets),
        parameters=first.parameters,
        fit_seconds=_mean([run.fit_seconds for run in finished if run.fit_seconds is not None]),
        lift=lift,
        verdict=family_verdict(runs, lift, confidence),
        curves=mean_curves([run.curves for run in finished]),
    )


def family_verdict(runs: Sequence[Run], lift: Lift | None, confidence: float) -> Verdict:
    """The verdict more than half of the finished seeds share, else "not enough evidence".

    The evidence is the count of seeds, then that of the seed with the median gap among those that agree,
    then the lift over the best baseline.
    """
    finished = [run for run in runs if run.measures is not None]
    if not finished:
        return runs[0].verdict
    counts = Counter(run.verdict.label for run in finished)
    label, votes = counts.most_common(1)[0]
    if 2 * votes <= len(finished):
        told = words.listed([f"{count} {label}" for label, count in sorted(counts.items())])
        evidence = [f"The {len(finished)} seeds disagree: {told}."]
        return Verdict(Label.not_enough_evidence, evidence + _lift_sentence(runs[0], lift, confidence))
    agreeing = sorted((run for run in finished if run.verdict.label is label), key=_gap_of)
    typical = agreeing[(len(agreeing) - 1) // 2]
    if len(finished) == 1:
        evidence = [f"One seed only ({typical.seed})."]
    else:
        evidence = [f"{votes} of {len(finished)} seeds: {label}. In numbers, for seed {typical.seed}:"]
    return Verdict(label, evidence + typical.verdict.evidence + _lift_sentence(runs[0], lift, confidence))


def _gap_of(run: Run) -> float:
    return run.measures.gap("score", "kept").value.value if run.measures else 0.0


def _lift_sentence(run: Run, lift: Lift | None, confidence: float) -> list[str]:
    if lift is None:
        return []
    if lift.value.lower > 0:
        judged = "above"
    elif lift.value.upper < 0:
        judged = "below"
    else:
        judged = "not to be told apart from"
    score = words.capitalised(scoring_of(run.task).score.label)
    difference = words.interval(lift.value, confidence)
    return [f"{score} on {lift.split} is {judged} that of the best baseline, {lift.baseline}: difference {difference}."]


def _within(estimate: Estimate, scoring: Scoring) -> Estimate:
    """Clip an interval of a score: Student's t does not know that 1 is the most, and 0 the least of a share.

    An unbiased estimate, as of what is drawn, may itself lie beyond 1.
    """
    if scoring.draws or (estimate.low is None and not scoring.is_share):
        return estimate
    low = max(0.0, estimate.lower) if scoring.is_share else estimate.lower
    return replace(estimate, low=low, high=min(1.0, estimate.upper))


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _median(values: Sequence[float]) -> float | None:
    return float(median(values)) if values else None
