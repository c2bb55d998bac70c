"""Runs that predict numbers, judged: planted noise has a known R²."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heldout.analysis import Comparison, Label, compare
from heldout.analysis.families import Family
from heldout.config.analysis import AnalysisConfig
from heldout.predictions import Predictions
from heldout.record import HISTORY_FILE, PREDICTIONS_FILE, Record, find_records, write_history, write_predictions
from heldout.record import write_record as write
from heldout.report.page import render
from heldout.scoring import scoring_of

CFG = AnalysisConfig(bootstrap_samples=200)
REGRESSION = scoring_of("regression")
EXAMPLES = 1500


@dataclass(frozen=True)
class Planted:
    """R² by split: the target is standard normal, and noise takes away the rest. None: the mean of train."""

    family: str
    train: float | None
    validation: float | None
    kind: str = "deep"


def plant(root: Path, plan: Planted, seed: int = 0, **info: Any) -> Path:
    rng = np.random.default_rng([seed, *plan.family.encode()])
    predictions = {}
    for split, r2 in (("train", plan.train), ("validation", plan.validation)):
        # the same examples for all
        target = 100 + 10 * np.random.default_rng([7, *split.encode()]).normal(size=EXAMPLES)
        noise = 10 * np.sqrt(1 - (r2 or 0.0)) * rng.normal(size=EXAMPLES)
        said = np.full(EXAMPLES, 100.0) if r2 is None else target + noise
        ids = np.array([f"{split}-{i}" for i in range(EXAMPLES)])
        predictions[split] = Predictions(ids, target, columns={"prediction": said}, reference=100.0)
    rows = [
        {"epoch": 1, "step": 1, "split": split, "seconds": 1.0, **REGRESSION.of(one)}
        for split, one in predictions.items()
    ]
    folder = root / plan.family / f"seed={seed}"
    write_history(folder / HISTORY_FILE, rows, "regression")
    write_predictions(folder / PREDICTIONS_FILE, predictions, "regression")
    common = {"name": plan.family, "data": "numbers", "family": plan.family, "kind": plan.kind, "seed": seed}
    write(
        folder, {**common, "status": "finished", "task": "regression", "target": {"mean": 100.0, "std": 10.0}, **info}
    )
    return folder


PLANS = (
    Planted("good", 0.62, 0.61),
    Planted("overfit", 0.9, 0.5),
    Planted("memorising", 0.99, 0.02),
    Planted("lucky", 0.02, -0.01),
    Planted("ridge", 0.6, 0.6, "baseline"),
    Planted("mean", None, None, "baseline"),
)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    root = tmp_path_factory.mktemp("records")
    for plan in PLANS:
        for seed in range(2):
            plant(root, plan, seed)
    return compare([Record.load(path) for path in find_records(root)], CFG)


def family(comparison: Comparison, name: str) -> Family:
    return next(one for one in comparison.families if one.family == name)


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    record = Record.load(plant(tmp_path, PLANS[0]))
    rows = record.predictions_of("validation")
    assert rows.target.dtype == rows.columns["prediction"].dtype == np.float64
    assert rows.reference == 100.0
    at_end = record.history.set_index("split").loc["validation"]
    assert REGRESSION.of(rows) == pytest.approx({name: at_end[name] for name in REGRESSION.names})


def test_the_better_score_ranks_first_and_has_an_interval(comparison: Comparison) -> None:
    assert {f.family for f in comparison.families[:2]} == {"good", "ridge"}
    estimate = family(comparison, "good").score["validation"]
    assert estimate.value == pytest.approx(0.61, abs=0.05)
    assert estimate.lower < estimate.value < estimate.upper <= 1
    assert family(comparison, "good").others["rmse"]["validation"] == pytest.approx(10 * np.sqrt(0.39), rel=0.05)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("good", Label.good),
        ("overfit", Label.overfit),
        ("memorising", Label.memorising),
        ("lucky", Label.underfit),
        ("mean", Label.underfit),
    ],
)
def test_planted_patterns(comparison: Comparison, name: str, label: Label) -> None:
    verdict = family(comparison, name).verdict
    assert verdict.label is label, verdict.evidence
    assert not any("ccuracy" in sentence for sentence in verdict.evidence)


def test_no_better_than_the_baseline_is_said_in_words(comparison: Comparison) -> None:
    evidence = family(comparison, "good").verdict.evidence
    assert "R² on validation is not to be told apart from that of the best baseline, ridge" in evidence[-1]
    assert "Always saying the mean of train gives 0.000" in " ".join(evidence)
    assert "R² on validation is below that of the best baseline" in family(comparison, "overfit").verdict.evidence[-1]


def test_a_comparison_comes_back_and_its_tables_name_the_measures(comparison: Comparison, tmp_path: Path) -> None:
    comparison.write(tmp_path)
    assert Comparison.read(tmp_path) == comparison
    header = (tmp_path / "families.csv").read_text().splitlines()[0]
    assert {"validation_r2", "validation_rmse", "r2_gap"} <= set(header.split(","))


def test_the_report_speaks_of_the_measures_of_the_task(comparison: Comparison) -> None:
    page = render([comparison]).split("<script>")[0]
    assert "Families, by R² on validation" in page
    assert "Root mean squared error" in page
    assert "mean 100, standard deviation 10" in page
    assert "ccuracy" not in page


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_refused(tmp_path: Path, bad: float) -> None:
    from heldout.record import RecordError

    rows = Predictions(np.array(["a", "b"]), np.array([1.0, 2.0]), columns={"prediction": np.array([1.0, bad])})
    with pytest.raises(RecordError, match="column 'prediction' holds NaN or infinity"):
        write_predictions(tmp_path / PREDICTIONS_FILE, {"train": rows}, "regression")


def test_an_unknown_task_is_named(tmp_path: Path) -> None:
    from heldout.record import RecordError

    with pytest.raises(RecordError, match="field 'task' is 'divination'; expected one of classification, regression"):
        plant(tmp_path, PLANS[0], task="divination")
