"""Verdicts on runs whose truth was planted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.analysis.synthetic import Plan, plant

from heldout.analysis.intervals import Estimate
from heldout.analysis.measures import Measures, measure
from heldout.analysis.onset import Onset
from heldout.analysis.verdict import Label, Reference, judge, unfinished
from heldout.config.analysis import AnalysisConfig
from heldout.record import Record

CFG = AnalysisConfig()


def measured(root: Path, plan: Plan, cfg: AnalysisConfig = CFG, **options: object) -> Measures:
    return measure(Record.load(plant(root, replace(plan, spread=0.0), **options)), cfg)


def with_end(measures: Measures, train: float, validation: float) -> Measures:
    gaps = [replace(g, train=train, validation=validation) if g.at == "end" else g for g in measures.gaps]
    return replace(measures, gaps=gaps)


@pytest.mark.parametrize(
    ("plan", "label"),
    [
        (Plan(train=0.97, validation=0.96), Label.good),
        (Plan(train=0.99, validation=0.80), Label.overfit),
        (Plan(train=0.30, validation=0.28), Label.underfit),
        (Plan(train=1.0, validation=0.10), Label.memorising),
        (Plan("random_forest", "baseline", train=1.0, validation=0.8), Label.overfit),
        (Plan("majority", "baseline", train=0.11, validation=0.10), Label.underfit),
    ],
)
def test_planted_patterns(tmp_path: Path, plan: Plan, label: Label) -> None:
    verdict = judge(measured(tmp_path, plan), None, CFG)
    assert verdict.label is label
    assert all(sentence.endswith(".") for sentence in verdict.evidence)


def test_the_evidence_states_the_numbers(tmp_path: Path) -> None:
    verdict = judge(measured(tmp_path, Plan(train=0.99, validation=0.80, onset=10, slope=0.05)), None, CFG)
    assert verdict.evidence[0].startswith(
        "Accuracy is 0.990 on train and 0.800 on validation; the gap of 0.190 (95 % interval 0.1"
    )
    assert verdict.evidence[0].endswith("lies above 0.05.")
    assert "Guessing gives 0.100" in verdict.evidence[1] or "most frequent class" in verdict.evidence[1]
    assert "validation loss rises" in verdict.evidence[2]


def test_random_labels_are_memorised_even_if_an_early_epoch_was_kept(tmp_path: Path) -> None:
    # the kept epoch, with the lowest validation loss, comes before anything was learned by heart
    kept_early = with_end(measured(tmp_path, Plan(train=0.15, validation=0.10)), train=0.998, validation=0.11)
    verdict = judge(kept_early, None, CFG)
    assert verdict.label is Label.memorising
    assert "Train accuracy reaches 0.998 by epoch 30 while validation stays near chance" in verdict.evidence[0]


def test_random_labels_that_were_not_fitted_are_no_memorising(tmp_path: Path) -> None:
    kept = with_end(measured(tmp_path, Plan(train=0.15, validation=0.10)), train=0.40, validation=0.11)
    assert judge(kept, None, CFG).label is Label.underfit


def test_near_chance_is_measured_from_the_majority_class(tmp_path: Path) -> None:
    # about 0.85 of the examples are of one class: a validation accuracy of 0.8 is next to nothing
    weights = np.array([0.85, 0.15])
    plan = Plan(train=1.0, validation=0.80)
    verdict = judge(measured(tmp_path, plan, classes=2, weights=weights), None, CFG)
    assert verdict.label is Label.memorising
    assert any("Always naming the most frequent class gives 0.8" in sentence for sentence in verdict.evidence)


@pytest.mark.parametrize(
    ("plan", "examples", "label", "words"),
    [
        # interval on one side of the threshold
        (Plan(train=0.99, validation=0.90), 1000, Label.overfit, "lies above 0.05"),
        (Plan(train=0.99, validation=0.97), 1000, Label.good, "lies below 0.05"),
        # on both sides, but narrow
        (Plan(train=0.99, validation=0.935), 400, Label.overfit, "narrow enough"),
        (Plan(train=0.99, validation=0.95), 400, Label.good, "narrow enough"),
        # on both sides and wide
        (Plan(train=0.95, validation=0.88), 60, Label.not_enough_evidence, "too wide to decide; about"),
    ],
)
def test_the_interval_decides_and_not_the_value_alone(
    tmp_path: Path, plan: Plan, examples: int, label: Label, words: str
) -> None:
    verdict = judge(measured(tmp_path, plan, examples=examples), None, CFG)
    assert verdict.label is label
    assert words in verdict.evidence[0]


def test_the_examples_asked_for_would_have_been_enough(tmp_path: Path) -> None:
    plan = Plan(train=0.95, validation=0.88)
    verdict = judge(measured(tmp_path, plan, examples=60), None, CFG)
    asked = int(verdict.evidence[0].split("about ")[1].split(" validation")[0].replace(",", ""))
    width = measured(tmp_path, plan, examples=asked).gap("accuracy", "kept").value.width
    assert width == pytest.approx(CFG.max_interval_width, rel=0.15)


def test_few_examples_give_no_verdict(tmp_path: Path) -> None:
    verdict = judge(measured(tmp_path, Plan(train=1.0, validation=0.3), examples=20), None, CFG)
    assert verdict.label is Label.not_enough_evidence
    assert verdict.evidence[0] == "There are 20 validation examples; 30 are needed."


def test_a_kept_epoch_after_the_onset_overfits_by_its_loss(tmp_path: Path) -> None:
    measures = measured(tmp_path, Plan(train=0.97, validation=0.96))
    lowest = measures.loss["validation"] / 1.5
    late = replace(measures, kept_epoch=25, onset=Onset(12, lowest, 2 * lowest, 1.0))
    verdict = judge(late, None, CFG)
    assert verdict.label is Label.overfit
    assert "At the kept epoch 25 validation loss is" in verdict.evidence[0]
    assert "50 % above its lowest level" in verdict.evidence[0]


def test_an_onset_after_the_kept_epoch_leaves_the_kept_model_good(tmp_path: Path) -> None:
    verdict = judge(measured(tmp_path, Plan(train=0.97, validation=0.96, onset=12, slope=0.03)), None, CFG)
    assert verdict.label is Label.good
    assert "is not later, so the kept model was spared that" in verdict.evidence[-1]


def test_what_another_family_reaches_on_validation_shows_an_underfit(tmp_path: Path) -> None:
    measures = measured(tmp_path, Plan(train=0.60, validation=0.58), examples=1000)
    assert judge(measures, None, CFG).label is Label.good
    better = Reference("random_forest", Estimate(0.8, 0.77, 0.83))
    verdict = judge(measures, better, CFG)
    assert verdict.label is Label.underfit
    assert "is below the 0.800 that random_forest reaches on validation" in verdict.evidence[0]
    assert judge(measures, Reference("knn", Estimate(0.6, 0.57, 0.63)), CFG).label is Label.good


@pytest.mark.parametrize(("validation", "label"), [(0.54, Label.underfit), (0.45, Label.overfit)])
def test_beside_a_better_family_only_a_gap_beyond_doubt_is_an_overfit(
    tmp_path: Path, validation: float, label: Label
) -> None:
    # 0.60 - 0.54 straddles 0.05 with its middle above; 0.60 - 0.45 lies above it altogether
    measures = measured(tmp_path, Plan(train=0.60, validation=validation), examples=1000)
    assert judge(measures, None, CFG).label is Label.overfit
    assert judge(measures, Reference("cnn", Estimate(0.9, 0.88, 0.92)), CFG).label is label


def test_a_gap_that_no_score_supports_is_no_good_verdict(tmp_path: Path) -> None:
    # two balanced classes, 40 examples: 0.62 cannot be told from 0.5
    measures = measured(tmp_path, Plan(train=0.70, validation=0.625), classes=2, examples=40)
    lenient = AnalysisConfig(max_interval_width=1.0, overfit_gap=0.1)
    verdict = judge(measures, None, lenient)
    assert verdict.label is Label.not_enough_evidence
    assert "cannot be told from chance" in verdict.evidence[0]


def test_thresholds_come_from_the_config(tmp_path: Path) -> None:
    measures = measured(tmp_path, Plan(train=0.99, validation=0.80))
    assert judge(measures, None, AnalysisConfig(overfit_gap=0.4)).label is Label.good
    assert judge(measures, None, AnalysisConfig(min_examples=10_000)).label is Label.not_enough_evidence
    assert judge(measures, None, AnalysisConfig(underfit_lift=0.999)).label is Label.underfit


def test_a_run_that_did_not_finish_gives_its_reason() -> None:
    verdict = unfinished("failed", "the loss is NaN at step 37")
    assert verdict.label is Label.not_enough_evidence
    assert verdict.evidence == ["The run failed: the loss is NaN at step 37"]
    assert unfinished("killed", None).evidence == ["The run was killed."]
