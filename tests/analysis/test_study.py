"""What a study says of planted scores."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.analysis.synthetic import Plan, plant, plant_failed
from tests.analysis.test_regression import Planted
from tests.analysis.test_regression import plant as plant_number

from heldout.analysis.study import Entry, StudyResult, shown
from heldout.config.analysis import AnalysisConfig
from heldout.config.study import StudyConfig, StudyFigureConfig
from heldout.record import Record

SIZES = (100, 200, 400)
# the best score is 0.95: with 0.95 of it, 0.9025, a model is good enough
SCORES = {"mlp": (0.5, 0.8, 0.95), "knn": (0.905, 0.7, 0.91), "majority": (0.1, 0.1, 0.1)}


@pytest.fixture
def result(tmp_path: Path) -> StudyResult:
    entries = []
    for family, scores in SCORES.items():
        for size, score in zip(SIZES, scores, strict=True):
            plan = Plan(family, "deep" if family == "mlp" else "baseline", score, score, score, epochs=10, spread=0)
            name = f"{family}-{size}"
            counts = {"train": size, "validation": 400, "test": 400}
            records = [Record.load(plant(tmp_path, plan, name=name, seed=seed, counts=counts)) for seed in (0, 1)]
            entries.append(Entry(name, {"model": family, "data.train_share": size / 400}, records))
    return StudyResult.of(study(), entries, AnalysisConfig(bootstrap_samples=50))


def study() -> StudyConfig:
    return StudyConfig(
        name="planted",
        question="Which?",
        data="toy",
        grid={"model": list(SCORES), "data.train_share": [0.25, 0.5, 1.0]},
        seeds=[0, 1],
        figure=StudyFigureConfig(x="train_examples", lines="model"),
        need_share=0.95,
    )


def test_data_need_is_the_size_from_which_on_a_score_is_reached(result: StudyResult) -> None:
    # knn reaches it with 100, too, but not with 200
    assert {line.label: line.need for line in result.lines} == {"mlp": 400, "knn": 400, "majority": None}


def test_lines_are_in_the_order_of_the_axis(result: StudyResult) -> None:
    assert [[s.train_examples for s in line.settings] for line in result.lines] == [list(SIZES)] * 3
    scores = [s.measured("test_score").value for s in result.lines[0].settings]
    assert scores == pytest.approx([0.5, 0.8, 0.95])


def test_sentences_name_the_best_first_and_who_never_gets_there(result: StudyResult) -> None:
    scores, need = result.sentences()
    assert scores.startswith("Accuracy on test with 400 training examples: mlp 0.950 (")
    assert scores.index("knn") < scores.index("majority")
    assert need.endswith("knn 400, mlp 400; never reached by majority.")


def test_a_setting_that_failed_leaves_a_gap_in_its_line(result: StudyResult, tmp_path: Path) -> None:
    plan = Plan("mlp", train=0.9, validation=0.9, test=0.9, epochs=10)
    entries = [
        Entry("a", {"model": "mlp"}, [Record.load(plant(tmp_path / "x", plan, name="a"))]),
        Entry("b", {"model": "rnn"}, [Record.load(plant_failed(tmp_path / "x", "b", "the loss is NaN"))]),
    ]
    config = StudyConfig(
        name="x",
        question="?",
        data="toy",
        grid={"model": ["mlp", "rnn"]},
        figure=StudyFigureConfig(x="model", lines="model"),
    )
    found = StudyResult.of(config, entries, AnalysisConfig(bootstrap_samples=50))
    assert [line.label for line in found.lines] == ["mlp"]
    assert len(found.settings) == 2


def test_tables_have_a_row_a_setting_and_a_row_a_run(result: StudyResult, tmp_path: Path) -> None:
    settings, runs = (path.read_text().splitlines() for path in result.write(tmp_path))
    assert len(settings) == 10
    assert len(runs) == 19
    assert settings[0].startswith("model,data.train_share,train_examples,data,family,kind,verdict")


def test_the_score_bears_the_name_that_it_has_in_the_task(result: StudyResult, tmp_path: Path) -> None:
    assert [result.title(metric) for metric in ("train_score", "score_gap", "test_loss", "fit_seconds")] == [
        "accuracy on train",
        "accuracy gap",
        "loss on test",
        "seconds a fit",
    ]
    config = StudyConfig(
        name="numbers",
        question="?",
        data="toy",
        grid={"model": ["ridge"]},
        figure=StudyFigureConfig(x="model", lines="model"),
    )
    record = Record.load(plant_number(tmp_path / "numbers", Planted("ridge", 0.6, 0.5, "baseline")))
    found = StudyResult.of(config, [Entry("a", {"model": "ridge"}, [record])], AnalysisConfig(bootstrap_samples=50))
    assert found.title("test_score") == "R² on test"
    (setting,) = found.settings
    assert setting.measured("validation_score").value == pytest.approx(0.5, abs=0.05)
    mixed = StudyResult(config, found.comparison, [*found.settings, *result.settings])
    assert mixed.title("test_score") == "score on test"


@pytest.mark.parametrize(("value", "said"), [(None, "null"), (True, "true"), (0.25, "0.25"), ("mlp", "mlp")])
def test_values_are_shown_as_a_config_has_them(value: object, said: str) -> None:
    assert shown(value) == said
