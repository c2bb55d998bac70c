"""From planted records to a comparison: ranking, sums over seeds, files, determinism, bad input."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.analysis.synthetic import Plan, plant, plant_failed

from heldout.analysis import Comparison, ComparisonError, compare
from heldout.analysis.families import Family
from heldout.analysis.verdict import Label
from heldout.config.analysis import AnalysisConfig
from heldout.record import HISTORY_FILE, PREDICTIONS_FILE, Record, RecordError, find_records, write_history

CFG = AnalysisConfig(bootstrap_samples=200)
FILES = ["balance.csv", "comparison.json", "curves.csv", "families.csv", "metrics", "runs.csv"]
CNN = Plan("cnn", train=0.99, validation=0.92, test=0.91, onset=12)
FOREST = Plan("random_forest", "baseline", train=1.0, validation=0.80, test=0.79, parameters=None)
MAJORITY = Plan("majority", "baseline", train=0.11, validation=0.10, test=0.10, parameters=None, spread=0.0)


def load(root: Path) -> list[Record]:
    return [Record.load(path) for path in find_records(root)]


def family(comparison: Comparison, label: str, data: str = "toy") -> Family:
    return next(f for f in comparison.families if (f.data, f.label) == (data, label))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("records")
    for seed in range(3):
        for plan in (CNN, FOREST, MAJORITY):
            plant(root, plan, seed=seed)
    plant(root, CNN, data="other")
    plant_failed(root, "gru", "the loss is NaN at step 37", seed=0)
    plant_failed(root, "gru", "the loss is NaN at step 40", seed=1)
    return root


@pytest.fixture(scope="module")
def comparison(records: Path) -> Comparison:
    return compare(load(records), CFG)


def test_families_are_ranked_by_validation_within_each_data_set(comparison: Comparison) -> None:
    found = [(f.data, f.label, f.rank) for f in comparison.families]
    assert found == [
        ("other", "cnn", 1),
        ("toy", "cnn", 1),
        ("toy", "random_forest", 2),
        ("toy", "majority", 3),
        ("toy", "gru", None),
    ]
    assert comparison.data_sets == ["other", "toy"]


def test_a_family_has_the_mean_over_its_seeds_and_a_t_interval(comparison: Comparison) -> None:
    cnn = family(comparison, "cnn")
    values = [r.measures.score["validation"].value for r in comparison.runs if (r.data, r.family) == ("toy", "cnn")]
    estimate = cnn.score["validation"]
    assert len(values) == 3
    assert estimate.value == pytest.approx(np.mean(values))
    assert estimate.high - estimate.value == pytest.approx(4.3027 * np.std(values, ddof=1) / np.sqrt(3), rel=1e-3)
    assert estimate.method == "t interval over seeds"
    assert cnn.gap.value == pytest.approx(0.99 - np.mean(values), abs=1e-9)
    assert cnn.verdict.label is Label.overfit


def test_one_seed_or_equal_seeds_fall_back_to_examples_and_say_so(comparison: Comparison) -> None:
    single = family(comparison, "cnn", "other").score["validation"]
    assert single.method == "Wilson score interval (one seed)"
    assert single.width > 0.03
    equal = family(comparison, "majority")
    assert equal.score["validation"].method == "Wilson score interval (all seeds agree)"
    assert equal.gap.method == "bootstrap over examples (all seeds agree)"


def test_the_lift_is_over_the_best_baseline_and_on_test_where_it_was_opened(comparison: Comparison) -> None:
    lift = family(comparison, "cnn").lift
    assert (lift.baseline, lift.split) == ("random_forest", "test")
    assert lift.value.value == pytest.approx(0.12, abs=0.02)
    assert lift.value.low > 0.05
    assert family(comparison, "random_forest").lift is None
    assert family(comparison, "cnn", "other").lift is None
    assert "above that of the best baseline, random_forest" in family(comparison, "cnn").verdict.evidence[-1]


def test_without_test_rows_the_lift_is_on_validation(tmp_path: Path) -> None:
    for plan in (CNN, FOREST):
        plant(tmp_path, replace(plan, test=None))
    result = compare(load(tmp_path), CFG)
    assert family(result, "cnn").lift.split == "validation"
    assert "test" not in family(result, "cnn").score


def test_failed_runs_are_listed_with_their_cause(comparison: Comparison) -> None:
    gru = family(comparison, "gru")
    assert gru.failed_seeds == [0, 1]
    assert gru.score == {}
    assert gru.verdict.label is Label.not_enough_evidence
    assert "NaN at step 37" in gru.verdict.evidence[0]


def test_a_family_needs_most_of_its_seeds_for_a_verdict(tmp_path: Path) -> None:
    for seed, validation in enumerate((0.97, 0.70)):
        plant(tmp_path, Plan(train=0.98, validation=validation, spread=0), seed=seed)
    split = family(compare(load(tmp_path), CFG), "mlp").verdict
    assert split.label is Label.not_enough_evidence
    assert split.evidence[0] == "The 2 seeds disagree: 1 good and 1 overfit."
    plant(tmp_path, Plan(train=0.98, validation=0.72, spread=0), seed=2)
    plant_failed(tmp_path, "mlp", "out of memory", seed=3)
    decided = family(compare(load(tmp_path), CFG), "mlp").verdict
    assert decided.label is Label.overfit
    assert decided.evidence[0].startswith("2 of 3 seeds: overfit.")


def test_two_configurations_of_one_family_are_told_apart_by_name(tmp_path: Path) -> None:
    plant(tmp_path, Plan(validation=0.9), name="toy-mlp-wide")
    plant(tmp_path, Plan(validation=0.8), name="toy-mlp-narrow")
    assert [f.label for f in compare(load(tmp_path), CFG).families] == ["toy-mlp-wide", "toy-mlp-narrow"]


def test_a_sweep_under_one_name_is_told_apart_by_the_hash_of_the_config(tmp_path: Path) -> None:
    for rate, digest in (("slow", "a" * 64), ("fast", "b" * 64)):
        for seed in (0, 1):
            plant(tmp_path / rate, Plan(), seed=seed, hashes={"config": digest, "data": "d", "code": "c"})
    result = compare(load(tmp_path), CFG)
    assert sorted(f.label for f in result.families) == ["toy-mlp (aaaaaaa)", "toy-mlp (bbbbbbb)"]
    assert [f.seeds for f in result.families] == [[0, 1], [0, 1]]


def test_other_records_change_nothing_but_reference_and_lift(records: Path, comparison: Comparison) -> None:
    only = compare([r for r in load(records) if r.info["family"] == "cnn"], CFG)
    assert family(only, "cnn").gap == family(comparison, "cnn").gap
    alone = [r.measures for r in only.runs]
    assert alone == [r.measures for r in comparison.runs if r.family == "cnn"]


def test_what_was_measured_on_other_examples_is_no_reference_and_no_baseline(tmp_path: Path) -> None:
    """One name of data may have several splits, as in a walk forward; that one of them is harder says nothing."""
    modest = Plan("modest", train=0.62, validation=0.60, test=0.60)
    forest = replace(FOREST, train=0.95, validation=0.92, test=0.91)
    for data in ("toy", "later"):
        plant(tmp_path / "of_one", modest if data == "toy" else forest, data=data)
        plant(tmp_path / "of_both", modest if data == "toy" else forest)
    for file in (tmp_path / "of_one" / "later").rglob("record.json"):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"data": "toy"}))
    found = {name: family(compare(load(tmp_path / name), CFG), "modest") for name in ("of_one", "of_both")}
    told = {name: "there was more to learn" in " ".join(one.verdict.evidence) for name, one in found.items()}
    assert told == {"of_one": False, "of_both": True}
    assert found["of_one"].lift is None
    assert found["of_both"].lift.baseline == "random_forest"


def test_files_are_the_same_whatever_the_order_of_the_records(records: Path, tmp_path: Path) -> None:
    compare(load(records), CFG).write(tmp_path / "a")
    compare(list(reversed(load(records))), CFG).write(tmp_path / "b")
    written = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert {path.parts[0] for path in written} == set(FILES)
    for name in written:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_was_written_is_read_back(comparison: Comparison, tmp_path: Path) -> None:
    comparison.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    assert Comparison.read(tmp_path) == comparison


def test_the_tables_hold_what_dvc_shows(comparison: Comparison, tmp_path: Path) -> None:
    comparison.write(tmp_path)
    with (tmp_path / "families.csv").open() as file:
        families = list(csv.DictReader(file))
    assert [row["family"] for row in families] == ["cnn", "cnn", "random_forest", "majority", "gru"]
    assert families[1]["verdict"] == "overfit"
    assert float(families[1]["test_accuracy"]) == pytest.approx(0.91, abs=0.001)
    assert families[4]["validation_accuracy"] == ""
    with (tmp_path / "curves.csv").open() as file:
        curves = list(csv.DictReader(file))
    assert list(curves[0]) == ["data", "family", "split", "epoch", "loss", "accuracy"]
    assert {row["family"] for row in curves} == {"cnn"}
    assert len(curves) == 2 * 2 * 30
    with (tmp_path / "runs.csv").open() as file:
        runs = list(csv.DictReader(file))
    assert [row["error"] for row in runs if row["error"]] == [f"the loss is NaN at step {n}" for n in (37, 40)]
    metrics = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "metrics" / "toy").iterdir()}
    assert metrics["cnn"]["verdict"] == "overfit"
    assert set(metrics["cnn"]) >= {"train_accuracy", "validation_accuracy", "test_accuracy", "gap", "lift"}
    assert metrics["gru"] == {"verdict": "not enough evidence"}


def test_families_that_are_gone_leave_no_metrics_behind(comparison: Comparison, tmp_path: Path) -> None:
    comparison.write(tmp_path)
    kept = [family for family in comparison.families if family.label == "gru"]
    replace(comparison, families=kept).write(tmp_path)
    assert [path.name for path in (tmp_path / "metrics").rglob("*.json")] == ["gru.json"]


def test_only_failures_still_make_a_comparison(tmp_path: Path) -> None:
    plant_failed(tmp_path / "records", "gru", "the loss is NaN at step 37")
    comparison = compare(load(tmp_path / "records"), CFG)
    comparison.write(tmp_path / "out")
    assert Comparison.read(tmp_path / "out") == comparison
    assert (tmp_path / "out" / "curves.csv").read_text() == "data,family,split,epoch,loss,accuracy\n"


def test_curves_are_the_mean_up_to_the_last_epoch_that_all_seeds_reached(tmp_path: Path) -> None:
    plant(tmp_path, replace(CNN, epochs=20), seed=0)
    plant(tmp_path, replace(CNN, epochs=14), seed=1)
    result = compare(load(tmp_path), CFG)
    curves = family(result, "cnn").curves
    assert curves.epoch == list(range(1, 15))
    first = [run.curves.validation_loss[0] for run in result.runs]
    assert curves.validation_loss[0] == pytest.approx(np.mean(first))


def test_no_records_and_twins_are_user_errors(tmp_path: Path) -> None:
    with pytest.raises(ComparisonError, match="no records to compare"):
        compare([], CFG)
    plant(tmp_path / "a", CNN)
    plant(tmp_path / "b", CNN)
    with pytest.raises(ComparisonError, match=r"two records of toy-cnn \(\w{7}\) on toy with seed 0"):
        compare(load(tmp_path), CFG)


def test_a_finished_record_without_predictions_is_a_user_error(tmp_path: Path) -> None:
    (plant(tmp_path, CNN) / PREDICTIONS_FILE).unlink()
    with pytest.raises(RecordError, match=r"predictions\.parquet is missing"):
        compare(load(tmp_path), CFG)


@pytest.mark.parametrize("broken", ["no row", "not finite"])
def test_a_finished_record_without_a_last_epoch_is_a_user_error(tmp_path: Path, broken: str) -> None:
    path = plant(tmp_path, CNN)
    rows = Record.load(path).history.to_dict("records")
    if broken == "no row":
        rows.pop()
    else:
        rows[-1]["accuracy"] = float("nan")
    write_history(path / HISTORY_FILE, rows)
    with pytest.raises(RecordError, match="lacks a finite loss or accuracy"):
        compare(load(tmp_path), CFG)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": 1}', '{"format": 9}', '{"format": 1, "settings": 3}'])
def test_a_broken_comparison_is_a_user_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ComparisonError, match=r"no comparison at .*compare first"):
        Comparison.read(tmp_path)
    (tmp_path / "comparison.json").write_text(text)
    with pytest.raises(ComparisonError, match="run `compare` again"):
        Comparison.read(tmp_path)


def test_importing_the_analysis_is_cheap() -> None:
    program = "import sys, heldout.analysis; print(*{'torch', 'scipy', 'pandas', 'statsmodels'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
