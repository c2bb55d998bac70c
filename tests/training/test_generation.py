"""Models that draw images, from the data to what MLflow, comparisons and predictions know of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from mlflow.tracking import MlflowClient
from PIL import Image
from tests.conftest import ROOT, stage

from heldout.analysis import Label, compare
from heldout.config.analysis import AnalysisConfig
from heldout.config.errors import ConfigError
from heldout.config.stages import EvaluateConfig
from heldout.explain.explain import explain
from heldout.explain.run import NotExplainable
from heldout.pictures import BY_EPOCH, DRAWN, NEAREST
from heldout.predict.errors import DoesNotFit
from heldout.predict.predict import predict
from heldout.record import Record
from heldout.training.evaluate import evaluate
from heldout.training.train import train

EXPERIMENT = ("experiment=gan_digits", "seeds=[0]", "tracking.system_metrics_seconds=null", "data.limit=400")
SMALL = ("model.width=8", "model.latent=4", "trainer.max_epochs=3")
FAMILIES = ("gan", "gaussian", "kernel_density", "independent_pixels")


@pytest.fixture(scope="module")
def records(place: Path) -> dict[str, Record]:
    """By family, with test results."""
    made = {}
    for family in FAMILIES:
        small = SMALL if family == "gan" else ()
        config = stage("train", *EXPERIMENT, f"model={family}", f"out={place / family}", *small)
        train(config)
        (made[family],) = evaluate(
            EvaluateConfig(runs=str(place / family), out=f"records/{family}", tracking=config.tracking)
        )
    return made


@pytest.mark.parametrize("family", FAMILIES)
def test_what_an_epoch_measures_is_what_predictions_say(records: dict[str, Record], family: str) -> None:
    record = records[family]
    assert record.task == "generation"
    assert record.prediction_splits == ("train", "validation", "test")
    at_kept = record.history[record.history["epoch"] == record.info["kept_epoch"]].set_index("split")
    for split in ("train", "validation"):
        for name, value in record.scoring.of(record.predictions_of(split)).items():
            assert at_kept.at[split, name] == pytest.approx(value, rel=1e-3, abs=1e-3), (split, name)
    assert record.info["test"] == pytest.approx(record.scoring.of(record.predictions_of("test")))
    assert record.info["test_openings"] == 1
    assert ("critic" in record.predictions) == (family == "gan")


def test_the_copier_is_found_and_the_comparison_says_so(records: dict[str, Record]) -> None:
    families = compare(list(records.values()), AnalysisConfig()).families
    verdicts = {one.family: one.verdict.label for one in families}
    assert verdicts["kernel_density"] is Label.memorising
    assert verdicts["independent_pixels"] is Label.underfit
    assert verdicts["gaussian"] not in (Label.memorising, Label.overfit)
    assert families[-1].family == "kernel_density"
    (trivial,) = [one for one in families if one.family == "independent_pixels"]
    assert trivial.score["test"].value == pytest.approx(0, abs=0.35)


def test_mlflow_has_the_measures_and_pictures(records: dict[str, Record], place: Path) -> None:
    client = MlflowClient(f"sqlite:///{place}/mlflow.db")
    run_id = records["gan"].info["mlflow"]["run_id"]
    wanted = {
        "validation/copied",
        "validation/critic",
        "train/generator_loss",
        "gap/critic",
        "kept/validation_likeness",
    }
    assert wanted <= client.get_run(run_id).data.metrics.keys()
    for name in (DRAWN, NEAREST, BY_EPOCH):
        logged = Path(client.download_artifacts(run_id, name, str(place)))
        assert logged.read_bytes() == (place / "gan" / "seed-0" / name).read_bytes()
        with Image.open(logged) as picture:
            assert picture.mode == "L"
    assert not (place / "gaussian" / "seed-0" / BY_EPOCH).exists()


@pytest.mark.parametrize("family", ["gan", "gaussian"])
def test_predict_draws_images_and_so_does_the_model_in_mlflow(
    records: dict[str, Record], place: Path, family: str
) -> None:
    written = predict(stage("predict", f"run={family}/seed-0", "draw=5", "seed=7", f"out={place / 'drawn' / family}"))
    table = pq.read_table(written)
    images = table["image"].combine_chunks().to_numpy_ndarray()
    assert table["seed"].to_pylist() == [7, 8, 9, 10, 11]
    assert images.shape == (5, 1, 8, 8)
    assert (written.parent / DRAWN).is_file()
    store = f"sqlite:///{place}/mlflow.db"
    mlflow.set_tracking_uri(store)
    run = MlflowClient(store).get_run(records[family].info["mlflow"]["run_id"])
    models = MlflowClient(store).search_logged_models([run.info.experiment_id])
    (model,) = [one for one in models if one.source_run_id == run.info.run_id]
    found = mlflow.pyfunc.load_model(model.model_uri).predict(pd.DataFrame({"seed": [9, 7]}))
    np.testing.assert_array_equal(found, images[[2, 0]])


def test_predict_reads_no_file_for_what_draws(records: dict[str, Record], place: Path) -> None:
    with pytest.raises(DoesNotFit, match=r"path=some.csv: this model draws images, and reads none; expected draw=N"):
        predict(stage("predict", "run=gan/seed-0", "path=some.csv", f"out={place}/refused"))


def test_explain_refuses_what_draws(records: dict[str, Record]) -> None:
    with pytest.raises(NotExplainable, match="draws images; expected a network that tells classes apart"):
        explain(stage("explain", "run=gan/seed-0"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=cnn"], "an image to be drawn .*which this family cannot predict. Expected one of: gan, gaussian"),
        (["task=classify"], "Expected task=generate"),
        (["trainer.monitor=accuracy"], "expected loss or likeness or precision"),
        (["trainer.precision=bf16-mixed"], "task=generate: gradients of gradients ask for trainer.precision=32-true"),
        (["trainer.devices=2"], "trainer.devices=2 with task=generate: one process"),
        (["data.split.method=stratified"], "data.split.method=stratified with data.task=generation"),
        (["model.average_decay=1"], "model.average_decay=1"),
        (["data=mnist1d", "data.task=generation"], "cannot read"),
    ],
)
def test_what_does_not_go_together_is_one_message(place: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        stage("train", *EXPERIMENT, *overrides)


@pytest.mark.kills
def test_a_killed_gan_goes_on_as_the_same_run(workplace: Path, warm_process: dict[str, str]) -> None:
    """Weights, their average, the optimizer and randomness: as if it had never been interrupted."""
    command = [sys.executable, str(ROOT / "pipelines" / "train.py"), "hydra.mode=RUN", *EXPERIMENT, *SMALL]
    command += ["model=gan", "trainer.max_epochs=12", "trainer.checkpoint_seconds=0"]

    def start(out: str, *more: str) -> subprocess.Popen[str]:
        environment = {**os.environ, **warm_process}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen([*command, f"out={out}", *more], env=environment, **pipes)

    process = start("out")
    deadline = time.monotonic() + 120
    while not list(Path(".heldout/state").glob("*/seed-0/last.ckpt")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.02)
    (lock,) = Path(".heldout/state").glob("*.lock")
    os.kill(int(lock.read_text().split()[0]), signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGKILL
    for out, more in (("out", ()), ("straight", ("resume=never",))):
        process = start(out, *more)
        output = process.communicate(timeout=120)[0]
        assert process.returncode == 0, output
        assert ("goes on from its last checkpoint" in output) == (out == "out")
    one, other = Record.load("out/seed-0"), Record.load("straight/seed-0")
    columns = ["epoch", "step", "split", *one.scoring.names, "critic_loss", "generator_loss"]
    assert one.history[columns].equals(other.history[columns])
    assert one.info["hashes"]["model"] == other.info["hashes"]["model"]
    assert Path("out/seed-0", BY_EPOCH).read_bytes() == Path("straight/seed-0", BY_EPOCH).read_bytes()
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    points = client.get_metric_history(one.info["mlflow"]["run_id"], "validation/loss")
    assert sorted(point.step for point in points) == list(range(1, 13)), "no epoch lost, none twice"
