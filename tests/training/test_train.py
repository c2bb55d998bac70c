"""One configuration, once a seed: records and MLflow runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from heldout.config.stages import EvaluateConfig, TrainConfig
from heldout.data.errors import TestSetSealed as SealedTestSet
from heldout.data.store import read_split
from heldout.errors import RUNS_FAILED
from heldout.record import Record
from heldout.stages.train import run
from heldout.tracking import connect
from heldout.training import train as training
from heldout.training.evaluate import evaluate
from heldout.training.fitted import FitInputs, Fitted
from heldout.training.identity import identify
from heldout.training.prepared import find_or_prepare
from heldout.training.state import RunState
from heldout.training.train import train

Compose = Callable[..., TrainConfig]
FAST = ("data=digits", "trainer.max_epochs=3", "tracking.system_metrics_seconds=null")


def store() -> str:
    # MLflow keeps one connection an address: a relative one would lead to the database of an earlier test
    return f"sqlite:///{Path.cwd()}/mlflow.db"


def runs() -> list[Run]:
    client = MlflowClient(store())
    found: list[Run] = client.search_runs([e.experiment_id for e in client.search_experiments()])
    return found


def children(found: list[Run]) -> list[Run]:
    return [one for one in found if one.data.tags.get("heldout.kind") == "run"]


def test_a_network_leaves_a_record_and_a_run_a_seed(train_config: Compose) -> None:
    records = train(train_config(*FAST, "model=mlp", "seeds=[0,1]"))
    assert [record.info["status"] for record in records] == ["finished", "finished"]
    first = records[0]
    assert first.history.groupby("split").size().to_dict() == {"train": 3, "validation": 3}
    assert first.prediction_splits == ("train", "validation")
    assert len(first.predictions_of("train").ids) == len(first.predictions_of("validation").ids)
    assert first.info["parameters"] > 0
    assert not np.allclose(first.history["loss"], records[1].history["loss"]), "seeds differ"

    found = runs()
    parents = [one for one in found if one.data.tags["heldout.kind"] == "configuration"]
    assert len(parents) == 1
    assert len(children(found)) == 2
    for child in children(found):
        assert child.info.status == "FINISHED"
        assert child.data.tags["mlflow.parentRunId"] == parents[0].info.run_id
        assert child.data.params["model.family"] == "mlp"
        assert {"train/loss", "validation/loss", "gap/loss", "train/accuracy"} <= child.data.metrics.keys()
        assert child.data.tags["hash.data"] == first.info["hashes"]["data"]
        assert [i.dataset.name for i in child.inputs.dataset_inputs] == ["digits/train", "digits/validation"]


def test_in_a_pod_an_epoch_is_a_line(
    train_config: Compose, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELDOUT_JOB", "train-mlp")
    # set by the run itself, and taken back by this
    monkeypatch.setenv("HELDOUT_JOB_RUN", "run of another at no address")
    with caplog.at_level("INFO"):
        (record,) = train(train_config(*FAST, "model=mlp", "data.limit=300"))
    lines = [text for text in caplog.messages if "  epoch " in text]
    assert [text.partition("epoch ")[2].partition(" ")[0] for text in lines] == ["1/3", "2/3", "3/3"]
    (train_loss, validation_loss) = record.history["loss"][-2:]
    assert f"loss {train_loss:.4g} / {validation_loss:.4g}" in lines[-1]


def test_a_run_whose_id_was_not_noted_is_gone_on_with(train_config: Compose) -> None:
    config = train_config(*FAST, "model=majority")
    state = RunState(identify(config, find_or_prepare(config.data, None)).key)
    # a process that is killed between the creation of a run and the note of its id leaves no more than this
    left = connect(config.tracking).start_run("left", token=state.token("parent"))
    left.finish("KILLED")
    (record,) = train(config)
    assert record.info["mlflow"]["parent_run_id"] == left.run_id
    assert len(runs()) == 2
    assert all(one.info.status == "FINISHED" for one in runs())
    (again,) = train(config)
    assert again.info["mlflow"]["parent_run_id"] != left.run_id, "what is done is not gone on with"


def test_kept_predictions_agree_with_the_history_at_the_kept_epoch(train_config: Compose) -> None:
    record = train(train_config(*FAST, "model=cnn"))[0]
    for split in ("train", "validation"):
        predictions = record.predictions_of(split)
        history = record.history
        row = history[(history["epoch"] == record.info["kept_epoch"]) & (history["split"] == split)].iloc[0]
        rows = np.arange(len(predictions.target))
        loss = -np.log(predictions.probabilities[rows, predictions.target]).mean()
        accuracy = (predictions.probabilities.argmax(axis=1) == predictions.target).mean()
        assert loss == pytest.approx(row["loss"], rel=1e-3)
        assert accuracy == pytest.approx(row["accuracy"], abs=1e-6)


def test_the_logged_model_predicts_as_the_record_says(train_config: Compose) -> None:
    config = train_config(*FAST, "model=cnn")
    record = train(config)[0]
    client = MlflowClient(store())
    (logged,) = client.search_logged_models([record.info["mlflow"]["experiment_id"]])
    mlflow.set_tracking_uri(store())
    model = mlflow.pyfunc.load_model(logged.model_uri)
    validation = read_split(Path(record.info["lineage"]["data_path"]), "validation")
    expected = record.predictions_of("validation")
    found = model.predict(np.array(validation.inputs["x"]))
    np.testing.assert_allclose(found.to_numpy(), expected.probabilities, atol=1e-5)
    assert [str(name) for name in found.columns] == record.info["classes"]


@pytest.mark.parametrize("model", ["majority", "logistic", "hist_gradient_boosting"])
def test_a_baseline_goes_through_the_same_command_and_record(train_config: Compose, model: str) -> None:
    record = train(train_config("data=breast_cancer", f"model={model}"))[0]
    assert record.info["kind"] == "baseline"
    assert len(record.history) == 2
    assert record.prediction_splits == ("train", "validation")


def test_the_test_set_is_opened_by_evaluate_alone_and_counted(train_config: Compose, workplace: Path) -> None:
    config = train_config(*FAST, "model=mlp", "seeds=[0,1]")
    record = train(config)[0]
    assert record.info["test_openings"] == 0
    with pytest.raises(SealedTestSet):
        read_split(Path(record.info["lineage"]["data_path"]), "test")
    stage = EvaluateConfig(runs="out", out="records", tracking=config.tracking)
    complete = evaluate(stage)
    assert [r.info["test_openings"] for r in complete] == [1, 1]
    assert complete[-1].info["data_test_openings"] == 2
    assert complete[0].prediction_splits == ("train", "validation", "test")
    again = evaluate(stage)
    assert [r.info for r in again] == [r.info for r in complete], "a complete record is not evaluated again"
    assert {child.data.tags["heldout.test_openings"] for child in children(runs())} == {"1"}
    assert all("test/accuracy" in child.data.metrics for child in children(runs()))


def test_a_loss_that_diverges_fails_that_run_with_step_and_cause(
    train_config: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = train_config(*FAST, "model=mlp", "optimizer=sgd", "model.learning_rate=1e12", "seeds=[0,1]")
    assert run(config) == RUNS_FAILED
    records = [Record.load(Path(config.out or "") / f"seed-{seed}") for seed in (0, 1)]
    for record in records:
        assert record.info["status"] == "failed"
        assert "at step" in record.info["error"]
        assert "learning_rate" in record.info["error"]
    assert {child.info.status for child in children(runs())} == {"FAILED"}


def test_the_other_seeds_go_on_when_one_diverges(train_config: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    config = train_config(*FAST, "model=mlp", "optimizer=sgd", "seeds=[0,1]")
    fit = training.fit_one

    def poisoned(config: TrainConfig, data: FitInputs, seed: int, *rest: object) -> Fitted:
        if seed == 0:
            config = train_config(*FAST, "model=mlp", "optimizer=sgd", "model.learning_rate=1e12")
        return fit(config, data, seed, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "fit_one", poisoned)
    assert [record.info["status"] for record in train(config)] == ["failed", "finished"]


def test_the_same_seed_gives_the_same_run(train_config: Compose) -> None:
    first = train(train_config(*FAST, "model=gru"))[0].history
    second = train(train_config(*FAST, "model=gru"))[0].history
    np.testing.assert_array_equal(first["loss"], second["loss"])


def test_early_stopping_and_the_kept_epoch(train_config: Compose) -> None:
    record = train(train_config("data=digits", "model=mlp", "trainer.max_epochs=200", "trainer.patience=2",
                                "model.learning_rate=0.05"))[0]  # fmt: skip
    validation = record.history[record.history["split"] == "validation"].set_index("epoch")["loss"]
    assert record.info["epochs"] < 200
    assert record.info["kept_epoch"] == validation.idxmin()
    assert record.info["epochs"] == record.info["kept_epoch"] + 2


def test_a_large_train_set_is_measured_on_a_fixed_part_as_large_as_validation(train_config: Compose) -> None:
    one = train(train_config(*FAST, "model=mlp"))[0]
    other = train(train_config(*FAST, "model=cnn", "seeds=[5]"))[0]
    ids = one.predictions_of("train").ids
    assert len(ids) == one.info["counts"]["validation"] < one.info["counts"]["train"]
    np.testing.assert_array_equal(ids, other.predictions_of("train").ids)
