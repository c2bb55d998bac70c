"""A study is run, gone on with after a kill, and told; every study of conf/study runs at the fast budget."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from tests.conftest import ROOT

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.stages import StudyRunConfig
from heldout.errors import RUNS_FAILED
from heldout.record import Record, find_records
from heldout.stages.study import run
from heldout.studies import run as runner
from heldout.training.errors import Interrupted
from heldout.training.multirun import PARENT_VARIABLE

STUDIES = sorted(path.stem for path in (ROOT / "conf" / "study").glob("*.yaml"))
SMALL = (
    "study=deep_vs_classical",
    "study.budget=fast",
    "study.grid.model=[mlp,logistic]",
    "study.grid={data.train_share:[0.5,1.0]}",
    "analysis.bootstrap_samples=100",
)
FOLDER = Path("studies/deep_vs_classical-digits-fast")


def config_of(*overrides: str) -> StudyRunConfig:
    with hydra_session():
        config = to_stage(compose_stage("study", list(overrides)))
    assert isinstance(config, StudyRunConfig)
    return config


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(newline="") as lines:
        return list(csv.DictReader(lines))


def runs(kind: str) -> list[Run]:
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    query = f"tags.`heldout.kind` = '{kind}'"
    return list(client.search_runs([e.experiment_id for e in client.search_experiments()], query))


@pytest.fixture(scope="module")
def done(place: Path) -> Path:
    """A study that was interrupted after its second training, begun again, and finished."""
    real = runner.train

    def interrupted(config):
        if len(find_records(FOLDER / "runs")) == 2:
            raise Interrupted(15)
        return real(config)

    (FOLDER / "runs").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "train", interrupted)
        assert run(config_of(*SMALL)) == 143
    assert [one.info.status for one in runs("study")] == ["KILLED"]
    assert len(find_records(FOLDER / "runs")) == 2
    assert run(config_of(*SMALL)) == 0
    return FOLDER


def test_an_interrupted_study_goes_on_as_the_same_run_and_repeats_nothing(done: Path) -> None:
    (study,) = runs("study")
    assert study.info.status == "FINISHED"
    configurations = runs("configuration")
    assert len(configurations) == 4
    assert {one.data.tags["mlflow.parentRunId"] for one in configurations} == {study.info.run_id}
    assert PARENT_VARIABLE not in os.environ


def test_a_finished_study_trains_nothing_and_opens_no_test_set_again(done: Path) -> None:
    before = {path: path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()}
    ledger = Path(".heldout/test_openings.jsonl").read_text()
    assert run(config_of(*SMALL)) == 0
    assert {path: path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()} == before
    assert Path(".heldout/test_openings.jsonl").read_text() == ledger
    assert len(runs("run")) == 4


def test_only_what_was_lost_is_trained_again(done: Path) -> None:
    lost = FOLDER / "runs" / "model-logistic_train_share-0.5"
    kept = {
        path: Record.load(path).info["started"] for path in find_records(FOLDER / "runs") if lost not in path.parents
    }
    shutil.rmtree(lost)
    assert run(config_of(*SMALL)) == 0
    assert find_records(lost)
    assert {path: Record.load(path).info["started"] for path in kept} == kept


def test_models_are_fitted_to_the_same_nested_training_sets(done: Path) -> None:
    sizes = {(row["model"], row["data.train_share"]): int(row["train_examples"]) for row in rows("settings.csv")}
    assert sizes == {(model, share): n for model in ("mlp", "logistic") for share, n in (("0.5", 90), ("1", 180))}
    hashes = {
        (record.info["counts"]["train"], record.info["hashes"]["data"])
        for record in map(Record.load, find_records(FOLDER / "records"))
    }
    assert len(hashes) == 2, "all models of a size had the same data"


def test_costs_are_measured_for_deep_and_classical_alike(done: Path) -> None:
    for row in rows("settings.csv"):
        assert 0 < float(row["inference_seconds"]) < 5
        assert int(row["model_bytes"]) > 1000
    table = rows("runs.csv")
    assert len(table) == 4
    assert {row["status"] for row in table} == {"finished"}


def test_the_figure_is_on_the_run_of_the_study(done: Path) -> None:
    (study,) = runs("study")
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    found = {one.path for folder in (None, "figures") for one in client.list_artifacts(study.info.run_id, folder)}
    assert {"figures/study.html", "study.html", "settings.csv", "runs.csv"} <= found
    assert study.data.metrics["test_accuracy/model-mlp_train_share-1.0"] > 0


def test_a_study_of_which_every_training_fails_says_so(place: Path) -> None:
    overrides = ("study.grid.model=[mlp]", 'study.overrides=["optimizer=sgd","model.learning_rate=1e12"]', "out=failed")
    assert run(config_of(*SMALL, *overrides)) == RUNS_FAILED
    assert not Path("failed/study.html").exists()
    assert sorted(one.info.status for one in runs("study"))[0] == "FAILED"


@pytest.mark.parametrize(
    # EfficientNet
    "name",
    [pytest.param(one, marks=[pytest.mark.slow] if one == "transfer_sizes" else []) for one in STUDIES],
)
def test_every_study_runs_at_the_fast_budget(place: Path, name: str) -> None:
    config = config_of(f"study={name}", "study.budget=fast", "analysis.bootstrap_samples=20", f"out={name}")
    # the corners of its grid: what lies between differs in size only
    config.study.grid = {key: [values[0], values[-1]] for key, values in config.study.grid.items()}
    assert run(config) == 0
    assert (Path(name) / "study.html").is_file()
