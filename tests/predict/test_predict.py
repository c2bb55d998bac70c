"""`heldout predict`: what the record of a training says of its examples is said of them again, wherever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import soundfile
from mlflow.tracking import MlflowClient
from tests.conftest import ROOT

from heldout import app
from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.errors import UserError
from heldout.predict.predict import predict
from heldout.record import Record
from heldout.training.train import train

QUIET = ("tracking.system_metrics_seconds=null", "trainer.max_epochs=2")
TABLE = ("data=table", "data.path=mine.csv", "data.target=label", "data.id=id", "model=mlp")
SERIES = ("data=series", "data.path=series.csv", "data.id=sensor", "data.target=state", "model=gru")
RATINGS = (
    "data=interactions",
    "data.path=films.csv",
    "data.user=viewer",
    "data.item=film",
    "data.target=stars",
    "task=recommend",
    "model=matrix_factorisation",
)
SOUNDS = (
    "data=audio",
    "data.path=tones",
    "data.mel.sample_rate=8000",
    "data.mel.mels=12",
    "data.split.method=stratified",
    "model=logistic",
)
IMAGES = ("data=digits", "data.limit=300", "model=majority")

Predict = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a table, series, ratings and recordings, and a model of each, and of images."""
    folder = tmp_path_factory.mktemp("predict")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HELDOUT_CONF", str(ROOT / "conf"))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        _write_files()
        of = {"table": TABLE, "series": SERIES, "ratings": RATINGS, "sounds": SOUNDS, "images": IMAGES}
        for name, overrides in of.items():
            with hydra_session():
                train(to_stage(compose_stage("train", [*overrides, *QUIET, f"out={name}"])))
        yield folder


def _write_files() -> None:
    random = np.random.default_rng(7)
    rows = 90
    table = pd.DataFrame(
        {
            "id": [f"p{row}" for row in range(rows)],
            "age": random.normal(50, 10, rows).round(2),
            "town": random.choice(["Bonn", "Kiel"], rows),
            "label": random.choice(["no", "yes"], rows),
        }
    )
    table.to_csv("mine.csv", index=False)
    steps = 8
    pd.DataFrame(
        {
            "sensor": np.repeat([f"s{row}" for row in range(60)], steps),
            "value": random.normal(size=60 * steps).round(3),
            "state": np.repeat(random.choice(["on", "off"], 60), steps),
        }
    ).to_csv("series.csv", index=False)
    pairs = [(f"v{viewer}", f"film {film}") for viewer in range(12) for film in range(8)]
    ratings = pd.DataFrame(pairs, columns=["viewer", "film"])
    ratings.assign(stars=random.integers(1, 6, len(ratings))).to_csv("films.csv", index=False)
    for i in range(24):
        name = ("low", "high")[i % 2]
        _tone(Path("tones") / name / f"{i}.{('wav', 'flac')[i // 2 % 2]}", (300, 2000)[i % 2] + i, 0.2 + i % 3 / 10)


def _tone(file: Path, hertz: float, seconds: float, rate: int = 8000) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate), rate)


@pytest.fixture
def predicted(place: Path, tmp_path: Path) -> Predict:
    """What `heldout predict` with these overrides writes, by id."""

    def run(*overrides: str) -> pd.DataFrame:
        with hydra_session():
            config = to_stage(compose_stage("predict", [*overrides, f"out={tmp_path}/out"]))
        return pd.read_parquet(predict(config)).set_index("id")

    return run


def recorded(name: str) -> pd.DataFrame:
    """What the training itself said of validation, by id."""
    record = Record.load(f"{name}/seed-0")
    found = record.predictions_of("validation")
    return pd.DataFrame(found.probabilities, index=found.ids, columns=record.info["classes"])


def same(found: pd.DataFrame, expected: pd.DataFrame) -> bool:
    aligned = found.loc[expected.index, [f"probability.{name}" for name in expected.columns]]
    assert list(found["prediction"].loc[expected.index]) == list(expected.idxmax(axis=1))
    return bool(np.allclose(aligned.to_numpy(), expected.to_numpy(), atol=1e-6))


@pytest.fixture(scope="module")
def registered(place: Path) -> str:
    """The version of the table's model in the registry, which has an alias too."""
    client = MlflowClient()
    (output,) = client.get_run(Record.load("table/seed-0").info["mlflow"]["run_id"]).outputs.model_outputs
    version = mlflow.register_model(f"models:/{output.model_id}", "mine").version
    client.set_registered_model_alias("mine", "best", version)
    return f"models:/mine/{version}"


@pytest.mark.parametrize("kept", ["record", "run", "version", "alias"])
def test_a_model_predicts_from_wherever_it_is(predicted: Predict, registered: str, kept: str) -> None:
    run = {
        "record": "table/seed-0",
        "run": Record.load("table/seed-0").info["mlflow"]["run_id"],
        "version": registered,
        "alias": "models:/mine@best",
    }[kept]
    found = predicted(f"run={run}", "path=mine.csv", "id=id")
    assert len(found) == 90
    assert same(found, recorded("table"))


def test_a_split_of_the_prepared_data_is_predicted(predicted: Predict) -> None:
    found = predicted("run=table/seed-0")
    expected = recorded("table")
    assert set(found.index) == set(expected.index)
    assert same(found, expected)


def test_series_are_read_as_for_the_training_with_or_without_classes(predicted: Predict) -> None:
    assert same(predicted("run=series/seed-0", "path=series.csv"), recorded("series"))
    pd.read_csv("series.csv").drop(columns="state").to_csv("unknown.csv", index=False)
    assert same(predicted("run=series/seed-0", "path=unknown.csv"), recorded("series"))


def test_ratings_have_the_columns_of_their_training(predicted: Predict) -> None:
    found = predicted("run=ratings/seed-0", "path=films.csv")
    rows = pd.read_csv("films.csv")
    found = found.set_index(pd.Index(rows["viewer"] + "/" + rows["film"]))
    expected = Record.load("ratings/seed-0").predictions_of("validation")
    assert np.allclose(found.loc[expected.ids, "prediction"], expected.columns["prediction"], atol=1e-5)


def test_ratings_without_them_are_refused_by_their_names(predicted: Predict) -> None:
    pd.read_csv("films.csv").rename(columns={"viewer": "user"}).to_csv("renamed.csv", index=False)
    with pytest.raises(UserError, match=r"'viewer' are missing.*viewer \(category\), film \(category\)"):
        predicted("run=ratings/seed-0", "path=renamed.csv")


def test_recordings_are_read_as_for_the_training(predicted: Predict) -> None:
    expected = recorded("sounds")
    found = predicted("run=sounds/seed-0", "path=tones")
    assert len(found) == 24
    assert same(found, expected)
    files = pd.DataFrame({"file": [f"tones/{name}" for name in found.index], "call": [f"c{row}" for row in range(24)]})
    files.to_csv("tones.csv", index=False)
    listed = predicted("run=sounds/seed-0", "path=tones.csv")
    assert list(listed.index) == list(files["file"])
    assert same(listed.set_index(found.index), expected)
    assert list(predicted("run=sounds/seed-0", "path=tones.csv", "id=call").index) == list(files["call"])
    first = expected.index[0]
    alone = predicted("run=sounds/seed-0", f"path=tones/{first}")
    assert same(alone.rename({Path(first).name: first}), expected.iloc[:1])


def test_recordings_that_cannot_be_used_are_named_at_once(predicted: Predict, tmp_path: Path) -> None:
    _tone(tmp_path / "mine" / "quick.wav", 300, 0.2, rate=16000)
    (tmp_path / "mine" / "text.flac").write_text("no sound")
    with pytest.raises(
        UserError, match=r"2 of 2 recordings cannot be used:\n  .*quick.wav: 16000 .*\n  .*text.flac: no"
    ):
        predicted("run=sounds/seed-0", f"path={tmp_path}/mine")
    _tone(tmp_path / "mine" / "quick.wav", 300, 0.9)
    with pytest.raises(UserError, match=r"12 channels and 88 to 88 steps.*12 channels and at most 38 steps"):
        predicted("run=sounds/seed-0", f"path={tmp_path}/mine/quick.wav")


def test_rows_without_ids_are_numbered_and_a_run_tells_of_them(predicted: Predict) -> None:
    found = predicted("run=table/seed-0", "path=mine.csv")
    assert list(found.index[:2]) == ["1", "2"]
    client = MlflowClient()
    run = client.search_runs(["1"], "tags.`heldout.kind` = 'prediction'", order_by=["attributes.start_time DESC"])[0]
    assert run.info.status == "FINISHED"
    assert run.data.tags["heldout.model_run"] == Record.load("table/seed-0").info["mlflow"]["run_id"]
    assert [item.path for item in client.list_artifacts(run.info.run_id)] == ["predictions.parquet"]


def _without(column: str) -> pd.DataFrame:
    return pd.read_csv("mine.csv").drop(columns=column)


def test_all_that_does_not_fit_is_said_at_once(predicted: Predict, tmp_path: Path) -> None:
    frame = _without("town")
    frame["age"] = frame["age"].astype(object)
    frame.loc[2, "age"] = "young"
    frame.to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(UserError) as caught:
        predicted("run=table/seed-0", f"path={tmp_path}/other.csv")
    said = str(caught.value)
    for part in ("'town' are missing", "row 3 holds 'young'", "age (number), town (category)", "other.csv"):
        assert part in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["run=nowhere/seed-0"], "there is no record"),
        (["run=0123456789abcdef0123456789abcdef"], "no run of"),
        (["run=models:/other/3"], "no model of"),
        (["run=table/seed-0", "path=none.csv"], "path=none.csv: there is no such file"),
        (["run=table/seed-0", "path=mine.csv", "id=name"], "id=name: there is no such column"),
        (["run=table/seed-0", "prepared=elsewhere"], "expected path=FILE, or prepared=FOLDER"),
        (["run=series/seed-0", "path=long.csv"], "1 channels and 9 to 9 steps"),
        (["run=sounds/seed-0", "path=sounds/seed-0"], "holds no file that ends in .wav, .flac"),
        (["run=sounds/seed-0", "path=mine.csv"], "there is no column 'file' .data.file of the training.; it has 'id'"),
        (["run=images/seed-0", "path=mine.csv"], r"digits .*only of data=table, .* and audio.*shape \(1, 8, 8\) each"),
        (["run=table/seed-0", "split=test"], "split"),
    ],
)
def test_what_cannot_be_predicted_is_said(predicted: Predict, tmp_path: Path, overrides: list[str], said: str) -> None:
    pd.DataFrame({"sensor": ["s"] * 9, "value": range(9)}).to_csv("long.csv", index=False)
    with pytest.raises(UserError, match=said):
        predicted(*overrides)
    assert not (tmp_path / "out").exists()


def test_the_command_writes_where_hydra_says(place: Path) -> None:
    assert app.main("predict", ["run=table/seed-0", "path=mine.csv", "hydra.run.dir=outputs/mine"]) == 0
    assert len(pd.read_parquet("outputs/mine/predictions.parquet")) == 90
