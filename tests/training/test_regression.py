"""A training that predicts numbers, from the data to the model in MLflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from heldout.config.errors import ConfigError
from heldout.config.stages import EvaluateConfig, TrainConfig
from heldout.data.store import read_split
from heldout.record import Record
from heldout.training.evaluate import evaluate
from heldout.training.train import train

Compose = Callable[..., TrainConfig]
DIABETES = ("data=diabetes", "task=regress", "trainer=debug", "tracking.system_metrics_seconds=null")


@pytest.mark.parametrize("overrides", [["model=mlp", "trainer.max_epochs=20"], ["model=ridge"]])
def test_a_regression_leaves_a_record_in_the_unit_of_the_target(train_config: Compose, overrides: list[str]) -> None:
    config = train_config(*DIABETES, *overrides)
    (record,) = train(config)
    assert record.task == "regression"
    assert record.info["target"]["mean"] == pytest.approx(152, abs=10)
    at_kept = record.history[record.history["epoch"] == record.info["kept_epoch"]].set_index("split")
    for split in ("train", "validation"):
        measured = record.scoring.of(record.predictions_of(split))
        for name, value in measured.items():
            assert at_kept.at[split, name] == pytest.approx(value, rel=1e-3), (split, name)
    # the unit is that of the target, whose deviation is 77: Efron et al. 2004 explain about half of its variance
    assert 45 < at_kept.at["validation", "rmse"] < 65
    assert 0.2 < at_kept.at["validation", "r2"] < 0.7

    (complete,) = evaluate(EvaluateConfig(runs=str(config.out), out="records", tracking=config.tracking))
    assert complete.info["test"] == pytest.approx(record.scoring.of(complete.predictions_of("test")))
    _check_mlflow(complete)


def _check_mlflow(record: Record) -> None:
    store = f"sqlite:///{Path.cwd()}/mlflow.db"
    run = MlflowClient(store).get_run(record.info["mlflow"]["run_id"])
    expected = {"kept/validation_r2", "kept/train_rmse", "gap/mae", "test/rmse", "validation/loss"}
    assert expected <= run.data.metrics.keys()
    mlflow.set_tracking_uri(store)
    (model,) = MlflowClient(store).search_logged_models([run.info.experiment_id])
    validation = read_split(Path(record.info["lineage"]["data_path"]), "validation")
    columns = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
    found = mlflow.pyfunc.load_model(model.model_uri).predict(
        pd.DataFrame(validation.inputs["numeric"].astype(np.float64), columns=columns)
    )
    np.testing.assert_allclose(
        found["prediction"], record.predictions_of("validation").columns["prediction"], rtol=1e-4
    )


def test_targets_far_from_zero_are_learned_too(train_config: Compose, tmp_path: Path) -> None:
    """y = 1e7 + x: in float32 the numbers have steps of 1 there."""
    x = np.random.default_rng(0).normal(size=200)
    pd.DataFrame({"x": x, "y": 1e7 + x}).to_csv(tmp_path / "far.csv", index=False)
    config = train_config(
        *("data=table", f"data.path={tmp_path}/far.csv", "data.target=y", "data.task=regression"),
        *("data.split.method=random", "task=regress", "model=mlp", "trainer.max_epochs=60", "trainer.batch_size=20"),
    )
    (record,) = train(config)
    assert record.kept("validation", "rmse") < 0.2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=diabetes"], "the target of this data set is a number .*Expected task=regress"),
        (["task=regress", "model=mlp"], "the target of this data set is a class .*Expected task=classify"),
        (["data=diabetes", "task=regress", "model=logistic"], "which this family cannot predict. Expected one of: mlp"),
        (["model=ridge"], "the target is a class .*which this family cannot predict"),
        (["data=diabetes", "task=regress", "data.split.method=stratified"], "numbers have no classes to stratify by"),
        (["data=diabetes", "task=regress", "trainer.monitor=accuracy"], "expected loss or r2 or rmse or mae"),
        (
            ["data=diabetes", "task=regress", "sweep.objective.metric=r2"],
            "r2, sweep.objective.mode=min: expected loss with min, or r2 with max, or rmse with min",
        ),
    ],
)
def test_what_does_not_go_together_is_one_message(train_config: Compose, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train_config(*overrides)


def test_a_sweep_may_improve_a_measure_of_a_regression(train_config: Compose) -> None:
    config = train_config("data=diabetes", "task=regress", "trainer.monitor=r2", "trainer.mode=max")
    assert config.sweep.objective.metric == "r2"
