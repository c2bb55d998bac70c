"""`dvc repro` from data to report: what it makes, what an edit reruns, and what DVC shows of it."""

from __future__ import annotations

import json
import re
import shutil
import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from heldout.analysis import Comparison, Label
from heldout.record import Record, find_records
from tests.e2e.project import OUTPUTS, Project, stages_run

pytestmark = pytest.mark.timeout(240)

MODELS = ["mlp", "cnn", "logistic", "majority"]
DEEP = ["mlp", "cnn"]
SEEDS = (0, 1)
EPOCHS = 3
TRAIN = {f"train@digits-{model}" for model in MODELS}
JUDGE = {"compare@digits", "report"}
EVERY_STAGE = {"snapshot", "prepare@digits", "validate@digits", *TRAIN, "evaluate@digits", *JUDGE}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, warm_process: dict[str, str]) -> Project:
    """The project, run once from nothing and committed. The tests below edit it one after another."""
    overrides = [f"seeds={list(SEEDS)}".replace(" ", ""), f"trainer.max_epochs={EPOCHS}"]
    made = Project(tmp_path_factory.mktemp("pipeline"), MODELS, overrides, warm_process)
    assert made.repro() == EVERY_STAGE
    made.commit()
    return made


def records(project: Project) -> dict[tuple[str, int], Record]:
    loaded = [Record.load(folder) for folder in find_records(project.root / "records" / "digits")]
    return {(record.info["family"], record.info["seed"]): record for record in loaded}


def test_every_run_has_a_complete_record(project: Project) -> None:
    found = records(project)
    assert set(found) == {(model, seed) for model in MODELS for seed in SEEDS}
    for record in found.values():
        assert record.info["status"] == "finished"
        assert record.prediction_splits == ("train", "validation", "test")
        assert len(record.predictions_of("test").ids) == record.info["counts"]["test"]
        assert record.info["test_openings"] == 1


def test_the_comparison_and_the_report_name_every_family(project: Project) -> None:
    comparison = Comparison.read(project.root / "comparisons" / "digits")
    assert {family.label for family in comparison.families} == set(MODELS)
    assert len(comparison.runs) == len(MODELS) * len(SEEDS)
    page = (project.root / "report" / "report.html").read_text(encoding="utf-8")
    for model in MODELS:
        assert model in page
    assert not re.findall(r'<(?:script|link)[^>]+(?:src|href)="http', page), "one page, complete in itself"


def test_mlflow_holds_a_parent_a_configuration_and_a_child_a_seed(project: Project) -> None:
    runs = project.mlflow_runs()
    parents = {r.info.run_id: r for r in runs if r.data.tags["heldout.kind"] == "configuration"}
    children = [r for r in runs if r.data.tags["heldout.kind"] == "run"]
    assert Counter(parent.data.tags["heldout.family"] for parent in parents.values()) == Counter(MODELS)
    assert Counter(child.data.tags["mlflow.parentRunId"] for child in children) == dict.fromkeys(parents, len(SEEDS))
    assert [r.data.tags["heldout.kind"] for r in runs].count("comparison") == 1
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["mlflow.source.name"] for run in runs} == {"train.py", "compare.py"}
    for child in children:
        assert {"test/accuracy", "test/loss", "validation/loss", "gap/loss"} <= child.data.metrics.keys()
        assert {"heldout.verdict", "heldout.evidence", "heldout.test_openings"} <= child.data.tags.keys()
    for run_id, parent in parents.items():
        below = [child for child in children if child.data.tags["mlflow.parentRunId"] == run_id]
        for metric in ("kept/train_accuracy", "kept/validation_loss", "test/accuracy", "analysis/gap_accuracy"):
            mean = statistics.fmean(child.data.metrics[metric] for child in below)
            assert parent.data.metrics[metric] == pytest.approx(mean, abs=1e-6)
        assert parent.data.tags["heldout.verdict"] in set(Label)


def test_with_nothing_to_do_no_process_of_ours_starts(project: Project) -> None:
    project.processes()
    said = project.dvc("repro")
    assert "up to date" in said
    assert stages_run(said) == set()
    assert project.processes() == []


@pytest.mark.parametrize(
    ("file", "key", "value", "reruns"),
    [
        ("conf/model/cnn.yaml", "family", "cnn  # a comment", set()),
        ("conf/tracking/default.yaml", "flush_seconds", 3.5, set()),
        ("conf/quality/default.yaml", "near_duplicate_similarity", 0.999, {"validate@digits"}),
        ("conf/analysis/default.yaml", "bootstrap_samples", 200, JUDGE),
    ],
    ids=["comment", "tracking", "quality", "analysis"],
)
def test_an_edit_reruns_what_it_touches(project: Project, file: str, key: str, value: object, reruns: set[str]) -> None:
    project.edit(file, key, value)
    assert project.repro() == {"snapshot", *reruns}


@pytest.fixture(scope="module")
def before(project: Project) -> dict[tuple[str, int], Record]:
    return records(project)


@pytest.fixture(scope="module")
def edited(project: Project, before: dict[tuple[str, int], Record]) -> set[str]:
    """The stages that run after an edit of a value of the CNN."""
    project.edit("conf/model/cnn.yaml", "dropout", 0.25)
    return project.repro()


class TestOneModelEdited:
    """It is trained again, and no other; DVC shows what the edit was and what came of it."""

    def test_its_training_and_what_follows_run(self, edited: set[str]) -> None:
        assert edited == {"snapshot", "train@digits-cnn", "evaluate@digits", *JUDGE}

    def test_the_test_set_is_not_opened_again_for_the_others(
        self, project: Project, before: dict[tuple[str, int], Record], edited: set[str]
    ) -> None:
        after = records(project)
        for key in before:
            assert after[key].info["test_openings"] == 1
            same_run = after[key].info["mlflow"]["run_id"] == before[key].info["mlflow"]["run_id"]
            assert same_run == (key[0] != "cnn")
        ledger = (project.root / ".heldout" / "test_openings.jsonl").read_text().splitlines()
        assert len(ledger) == (len(MODELS) + 1) * len(SEEDS)

    def test_params_diff_shows_the_value(self, project: Project, edited: set[str]) -> None:
        (changes,) = json.loads(project.dvc("params", "diff", "--json")).values()
        assert changes["train.digits-cnn.model.dropout"] == {"old": 0.0, "new": 0.25, "diff": 0.25}
        assert [key for key in changes if key.startswith("train.")] == ["train.digits-cnn.model.dropout"], "no other's"

    def test_metrics_diff_shows_its_effect(self, project: Project, edited: set[str]) -> None:
        changes = json.loads(project.dvc("metrics", "diff", "--json"))
        assert {Path(file).stem for file in changes} == {"cnn"}

    def test_plots_diff_lays_the_two_over_each_other(self, project: Project, edited: set[str]) -> None:
        project.dvc("plots", "diff", "HEAD", "--out", "plots")
        page = (project.root / "plots" / "index.html").read_text()
        assert '"HEAD"' in page
        assert '"workspace"' in page


def test_metrics_show_has_every_family(project: Project) -> None:
    shown = json.loads(project.dvc("metrics", "show", "--json"))[""]["data"]
    families = {Path(file).stem: of["data"] for file, of in shown.items()}
    assert set(families) == set(MODELS)
    for values in families.values():
        assert {"train_accuracy", "validation_accuracy", "test_accuracy", "verdict"} <= values.keys()


def test_plots_show_has_the_curves_of_every_network_and_the_accuracy_of_every_family(project: Project) -> None:
    project.dvc("plots", "show", "--out", "plots")
    specs = vega_specs(project.root / "plots" / "index.html")
    assert set(specs) == {"curves", "families"}
    curves, families = (specs[name]["data"]["values"] for name in ("curves", "families"))
    for model in DEEP:
        for split in ("train", "validation"):
            epochs = [int(row["epoch"]) for row in curves if (row["family"], row["split"]) == (model, split)]
            assert epochs == list(range(1, EPOCHS + 1))
    assert {row["family"] for row in families} == set(MODELS)


def vega_specs(page: Path) -> dict[str, dict[str, Any]]:
    """The charts of a page that DVC wrote, by the name of the file that they show."""
    found = re.findall(r'<div id = "([^"]+)">.*?var spec = (\{.*?\});\s*vegaEmbed', page.read_text(), re.DOTALL)
    return {name.removesuffix("_csv").rsplit("_", 1)[-1]: json.loads(spec) for name, spec in found}


def test_dag_shows_the_way_from_data_to_report(project: Project) -> None:
    said = project.dvc("dag", "--mermaid")
    names = dict(re.findall(r'(node\d+)\["([^"]+)"\]', said))
    arrows = {(names[a], names[b]) for a, b in re.findall(r"(node\d+)-->(node\d+)", said)}
    assert set(names.values()) >= EVERY_STAGE
    chain = ["snapshot", "prepare@digits", "validate@digits", "train@digits-cnn", "evaluate@digits", "compare@digits"]
    assert set(zip(chain, [*chain[1:], "report"], strict=True)) <= arrows


def test_two_at_once_leave_everything_whole(project: Project) -> None:
    project.edit("conf/analysis/default.yaml", "bootstrap_samples", 300)
    both = [project.start("dvc") for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert 0 in [process.returncode for process in both]
    for process, output in zip(both, said, strict=True):
        assert process.returncode == 0 or re.search(r"lock|busy", output), output
    assert project.repro() <= {"snapshot", *JUDGE}
    Comparison.read(project.root / "comparisons" / "digits")


@pytest.fixture
def pulled(project: Project, tmp_path: Path) -> Iterator[Project]:
    """The project after all that DVC keeps went to a remote folder and came back."""
    project.dvc("remote", "add", "--force", "--default", "store", str(tmp_path / "store"))
    project.dvc("push")
    shutil.rmtree(project.root / ".dvc" / "cache")
    for output in OUTPUTS:
        shutil.rmtree(project.root / output)
    project.dvc("pull")
    yield project
    project.dvc("remote", "remove", "store")


def test_what_comes_back_from_a_remote_needs_no_work_and_can_be_worked_on(pulled: Project) -> None:
    pulled.processes()
    assert pulled.repro() == set()
    assert pulled.processes() == []

    # as in another clone, whose MLflow has never seen these runs
    for path in pulled.root.glob("mlflow.db*"):
        path.unlink()
    shutil.rmtree(pulled.root / ".heldout")
    pulled.edit("conf/analysis/default.yaml", "calibration_bins", 10)
    assert pulled.repro() == {"snapshot", *JUDGE}


def test_an_edit_of_the_data_reruns_all_that_reads_them(project: Project) -> None:
    project.edit("conf/data/digits.yaml", "seed", 1)
    assert project.repro() == EVERY_STAGE
    assert {record.info["test_openings"] for record in records(project).values()} == {1}
