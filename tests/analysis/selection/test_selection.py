"""What is left of the best score of a sweep, in numbers and words."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.analysis.sweeps import Plan, World, realistic, refits

from heldout.analysis.intervals import Estimate
from heldout.analysis.selection import Selection, analyse, read_sweep, sentences
from heldout.analysis.selection.steps import Judgement, judge
from heldout.config.analysis import AnalysisConfig
from heldout.record import RecordError


def selection(folder: Path, plan: Plan) -> Selection:
    return analyse(read_sweep(plan.write(folder)), AnalysisConfig(bootstrap_samples=200))


def finished(*scores: float | None) -> list[dict[str, Any]]:
    return [{"objective": score} for score in scores]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Selection:
    return analyse(read_sweep(realistic(tmp_path_factory.mktemp("sweep"), trials=40)), AnalysisConfig())


def test_a_whole_sweep_has_all_steps(real: Selection) -> None:
    assert real.to_fresh is not None
    assert real.to_test is not None
    assert real.fresh is not None
    assert real.seen is not None
    assert real.to_fresh.drop.value == pytest.approx(real.seen - real.fresh.value)
    assert real.to_fresh.luck is not None
    assert 0 < real.to_fresh.luck.value < (real.to_fresh.most or 0)
    assert real.to_test.luck is not None
    assert real.test is not None
    assert "seeds and examples" in real.test.method
    assert real.pruned_luck is not None
    assert real.pruned_luck.value > real.to_fresh.luck.value
    assert real.corrected is None
    assert len(sentences(real)) == 6


def test_its_metrics_are_finite_and_named(real: Selection) -> None:
    metrics = real.metrics()
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["selection/test_lower"] < metrics["selection/test"] < metrics["selection/test_upper"]
    assert {"selection/seen", "selection/drop_to_fresh", "selection/luck_to_fresh"} <= metrics.keys()


@pytest.mark.parametrize(("mode", "flip"), [("max", 1), ("min", -1)])
def test_a_loss_is_told_as_an_accuracy_is(tmp_path: Path, mode: str, flip: float) -> None:
    rng = np.random.default_rng(0)
    scores = flip * rng.normal(2, 0.05, 20)
    best = int((flip * scores).argmax())
    again = refits({best: (flip * rng.normal(2, 0.05, 5)).tolist(), 19: (flip * rng.normal(1.9, 0.05, 5)).tolist()})
    found = selection(tmp_path / mode, Plan(finished(*scores), refits=again, metric="gain", mode=mode))
    assert found.leader == best
    assert found.to_fresh is not None
    assert found.to_fresh.drop.value > 0
    assert found.to_fresh.luck is not None
    assert found.to_fresh.luck.value > 0
    assert found.lead is not None
    word = "drop" if mode == "max" else "rise"
    assert f"a {word} of" in " ".join(sentences(found))


def test_luck_and_a_leak_are_told_apart(tmp_path: Path) -> None:
    """Ten equal settings with a seed spread of 0.01; once the refits lack what made the trials look good."""
    rng = np.random.default_rng(1)
    trials = finished(*rng.normal(0.8, 0.01, 10))
    best = int(np.argmax([trial["objective"] for trial in trials]))
    for level, judgement in ((0.8, Judgement.luck), (0.7, Judgement.larger)):
        again = refits({trial: rng.normal(level, 0.01, 6).tolist() for trial in (best, (best + 1) % 10)})
        found = selection(tmp_path / str(level), Plan(trials, refits=again))
        assert found.to_fresh is not None
        assert found.to_fresh.judgement is judgement
    assert "larger than that: look for another cause" in " ".join(sentences(found))


@pytest.mark.parametrize(
    ("drop", "judgement"),
    [
        (Estimate(0.02, 0.015, 0.025), Judgement.luck),
        (Estimate(0.001, -0.002, 0.004), Judgement.luck),
        (Estimate(0.02, -0.01, 0.05), Judgement.unresolved),
        (Estimate(0.02), Judgement.unresolved),
        (Estimate(0.05, 0.02, 0.08), Judgement.larger),
    ],
)
def test_a_drop_is_judged_by_luck_and_by_its_interval(drop: Estimate, judgement: Judgement) -> None:
    assert judge(drop, Estimate(0.02, 0.01, 0.03), 0.04).judgement is judgement
    assert judge(drop, None, None).judgement is Judgement.unknown


def test_one_fresh_seed_gives_no_interval_and_no_luck(tmp_path: Path) -> None:
    found = selection(tmp_path, Plan(finished(0.9, 0.8), refits=refits({0: [0.85], 1: [0.82]})))
    assert found.fresh == Estimate(0.85)
    assert found.seed_spread is None
    assert found.to_fresh is not None
    assert found.to_fresh.judgement is Judgement.unknown
    assert found.lead is not None
    assert not found.lead.distinguishable
    assert "cannot be known" in " ".join(sentences(found))


def test_a_winner_that_is_clearly_ahead_is_told_so(tmp_path: Path) -> None:
    luck = np.array([0.0, 0.01, -0.01, 0.02])
    noise = np.array([0.001, -0.001, 0.002, 0.002])
    again = refits({0: (0.80 + luck).tolist(), 1: (0.82 + luck + noise).tolist()})
    found = selection(tmp_path, Plan(finished(0.9, 0.89), refits=again))
    assert (found.leader, found.winner) == (0, 1)
    assert found.lead is not None
    # paired by seed: unpaired, a spread of 0.013 would hide the 0.02
    assert found.lead.distinguishable
    assert found.lead.ahead.value == pytest.approx(0.021)
    assert "Trial 1 is kept: 0.826" in " ".join(sentences(found))


@pytest.mark.parametrize(("wide", "told"), [(0.05, True), (0.006, False)])
def test_settings_with_uneven_luck_are_named(tmp_path: Path, wide: float, told: bool) -> None:
    pattern = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    again = refits({0: (0.8 + 0.004 * pattern).tolist(), 1: (0.8 + wide * pattern).tolist()})
    found = selection(tmp_path, Plan(finished(0.83, 0.82, 0.8), refits=again))
    assert bool(found.uneven_spreads) is told
    sentence = "spread by 0.040 for trial 1 and by 0.003 for trial 0"
    assert (sentence in " ".join(sentences(found))) is told


def test_without_refits_the_luck_of_examples_is_corrected_for(tmp_path: Path) -> None:
    world = World(examples=200)
    rows = [
        {"objective": world.plant(tmp_path, str(i), i, 0, 0.8, ("train", "validation")), "record": str(i)}
        for i in range(12)
    ]
    found = selection(tmp_path, Plan(rows))
    assert (found.winner, found.fresh, found.to_fresh, found.test) == (None, None, None, None)
    assert found.corrected is not None
    assert found.seen is not None
    assert found.corrected.value < found.seen
    told = " ".join(sentences(found))
    assert "without refits on fresh seeds, how much of this is the luck of its seed cannot be known" in told
    assert "though not of the seed" in told


def test_scores_that_are_not_finite_do_not_compete_and_are_counted(tmp_path: Path) -> None:
    rows = [*finished(0.5, math.inf, math.nan, None, 0.7), {"status": "pruned", "objective": 0.99}]
    found = selection(tmp_path, Plan([*rows, {"status": "failed", "error": "NaN"}]))
    assert (found.leader, found.seen) == (4, 0.7)
    assert (found.counts.competing, found.counts.not_finite, found.counts.pruned, found.counts.failed) == (2, 3, 1, 1)
    assert "3 finished trials had no finite score" in " ".join(sentences(found))


def test_ties_and_settings_without_any_luck(tmp_path: Path) -> None:
    found = selection(tmp_path, Plan(finished(0.9, 0.9, 0.9), refits=refits({0: [0.9, 0.9], 1: [0.9, 0.9]})))
    assert (found.leader, found.winner) == (0, 0)
    assert found.seed_spread == 0
    assert found.to_fresh is not None
    assert (found.to_fresh.drop.value, found.to_fresh.luck) == (0, Estimate(0.0, 0.0, 0.0))


@pytest.mark.parametrize("trials", [[], [{"status": "failed", "error": "NaN"}]])
def test_a_sweep_without_a_score_says_so(tmp_path: Path, trials: list[dict[str, Any]]) -> None:
    found = selection(tmp_path, Plan(trials))
    assert (found.leader, found.seen, found.metrics()) == (None, None, {})
    assert sentences(found)[0].endswith("there is nothing to choose from.")


def test_scores_on_folds_are_not_compared_with_luck(tmp_path: Path) -> None:
    again = refits({0: [0.85, 0.86], 1: [0.82, 0.83]})
    found = selection(tmp_path, Plan(finished(0.9, 0.8), refits=again, more={"fits": 5, "folds": 5}))
    assert found.to_fresh is not None
    assert found.to_fresh.judgement is Judgement.unknown
    assert "scored on 5 folds" in " ".join(sentences(found))


def test_the_test_score_of_a_metric_without_examples_is_taken_from_the_files(tmp_path: Path) -> None:
    again = refits({0: [0.85, 0.86]})
    winner = {"trial": 0, "params": {}, "test": {"f1": 0.81}}
    found = selection(tmp_path, Plan(finished(0.9, 0.8), refits=again, metric="f1", winner=winner))
    assert found.test == Estimate(0.81)
    assert found.to_test is not None
    assert found.to_test.judgement is Judgement.unknown


def test_a_record_that_is_named_but_gone_is_told(tmp_path: Path) -> None:
    again = [{"trial": 0, "seed": 1, "objective": 0.8, "record": "refits/gone"}]
    with pytest.raises(RecordError, match="gone"):
        selection(tmp_path, Plan(finished(0.9), refits=again))


def test_the_same_files_give_the_same_numbers(tmp_path: Path) -> None:
    plan = Plan(finished(0.9, 0.91, 0.88), refits=refits({0: [0.85, 0.86], 1: [0.82, 0.83]}))
    assert selection(tmp_path, plan) == selection(tmp_path, plan)
