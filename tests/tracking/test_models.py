"""The model of a run as an MLflow model: what `mlflow.pyfunc.load_model` gives back predicts as it should."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from mlflow import MlflowClient, pyfunc
from mlflow.exceptions import MlflowException
from omegaconf import OmegaConf

from heldout.config.data import TokensConfig
from heldout.config.model import CNNConfig, GRUConfig, LogisticConfig, MLPConfig, ModelConfig
from heldout.data.card import Card
from heldout.data.tokens import encode, train_tokenizer
from heldout.models import baselines, build, save_weights
from heldout.tracking import Tracking
from heldout.tracking.lineage import verify
from heldout.tracking.store import prepare_environment

from .conftest import timed

CLASSES = ["cat", "dog", "eel"]
EXAMPLES = 12

SERIES = {"x": {"dtype": "float32", "shape": [2, 16]}, "length": {"dtype": "int32", "shape": []}}
TABLE = {"numeric": {"dtype": "float32", "shape": [2]}, "categorical": {"dtype": "int32", "shape": [2]}}
WORDS = [f"{['tasty', 'dry', 'stale'][i % 3]} bread number {i}" for i in range(EXAMPLES)]
COLUMNS = [
    {"name": "age", "kind": "numeric", "categories": []},
    {"name": "town", "kind": "categorical", "categories": ["Bonn", "Kiel"]},
    {"name": "income", "kind": "numeric", "categories": []},
    {"name": "grade", "kind": "categorical", "categories": ["1", "2", "3"]},
]


def make_card(modality: str, inputs: dict[str, Any], statistics: dict[str, Any], columns: list[Any]) -> Card:
    counts = {"train": 30, "validation": 9, "test": 9}
    return Card(
        name="toy",
        source="toy",
        modality=modality,
        classes=CLASSES,
        counts=counts,
        class_counts={split: [count // 3] * 3 for split, count in counts.items()},
        inputs=inputs,
        statistics=statistics,
        columns=columns,
    )


def image() -> tuple[Card, dict[str, np.ndarray]]:
    inputs = {"x": {"dtype": "uint8", "shape": [1, 8, 8]}}
    card = make_card("image", inputs, {"x": {"mean": [0.4], "std": [0.3]}}, [])
    return card, {"x": np.random.default_rng(0).integers(0, 256, (EXAMPLES, 1, 8, 8), dtype=np.uint8)}


def series() -> tuple[Card, dict[str, np.ndarray]]:
    card = make_card("series", SERIES, {"x": {"mean": [0.0, 1.0], "std": [1.0, 2.0]}}, [])
    random = np.random.default_rng(0)
    x = random.normal(size=(EXAMPLES, 2, 16)).astype(np.float32)
    length = random.integers(4, 17, EXAMPLES, dtype=np.int32)
    for row, end in enumerate(length):
        x[row, :, end:] = 0
    return card, {"x": x, "length": length}


def table() -> tuple[Card, dict[str, np.ndarray]]:
    statistics = {"numeric": {"mean": [40.0, 3.0], "std": [10.0, 1.0], "median": [40.0, 3.0]}}
    card = make_card("table", TABLE, statistics, COLUMNS)
    random = np.random.default_rng(0)
    numeric = random.normal(size=(EXAMPLES, 2)).astype(np.float32)
    numeric[1, 0] = np.nan
    categorical = np.stack([random.integers(0, 3, EXAMPLES), random.integers(0, 4, EXAMPLES)], axis=1)
    return card, {"numeric": numeric, "categorical": categorical.astype(np.int32)}


def text() -> tuple[Card, dict[str, np.ndarray]]:
    tokenizer = train_tokenizer(WORDS, TokensConfig(min_frequency=1))
    inputs = encode(tokenizer, WORDS, max_tokens=4)
    specs = {"tokens": {"dtype": "int32", "shape": [4]}, "length": {"dtype": "int32", "shape": []}}
    card = make_card("text", specs, {}, [])
    return replace(card, tokenizer=tokenizer.to_str(), vocabulary=tokenizer.get_vocab_size()), inputs


def fitted(config: ModelConfig, card: Card, inputs: dict[str, np.ndarray], folder: Path) -> tuple[Path, Path, Any]:
    """A model file, its config file, and the probabilities that the model gives for the inputs."""
    config_file = folder / "config.yaml"
    content = OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True)
    schema = {"stage": "train", "model": config.family}
    config_file.write_text(yaml.safe_dump({"schema": schema, "model": content}))
    if isinstance(config, LogisticConfig):
        model = baselines.build(config, card, seed=0)
        model.fit(inputs, np.arange(EXAMPLES) % 3)
        model.save(folder / "model.skops")
        return folder / "model.skops", config_file, model.predict_proba(inputs)
    torch.manual_seed(0)
    network = build(config, card).eval()
    save_weights(network, folder / "weights.safetensors")
    with torch.inference_mode():
        logits = network({name: torch.from_numpy(array) for name, array in inputs.items()})
    return folder / "weights.safetensors", config_file, torch.softmax(logits, 1).numpy()


def raw_table() -> pd.DataFrame:
    """Rows as a csv file gives them: whole numbers, a missing value, an unknown category, a column too many."""
    return pd.DataFrame(
        {
            "grade": [1, 2, 9],
            "age": [30, 40, 50],
            "income": [1.5, None, 2.5],
            "town": ["Kiel", "Rome", None],
            "other": [0, 0, 0],
        }
    )


@pytest.mark.parametrize(
    ("data", "family"),
    [
        (image, CNNConfig(width=4, depth=2)),
        (image, LogisticConfig()),
        (series, GRUConfig(width=4)),
        (table, MLPConfig(hidden=[4])),
        (table, LogisticConfig()),
        (text, GRUConfig(width=4)),
        (text, LogisticConfig()),
    ],
    ids=["image-cnn", "image-logistic", "series-gru", "table-mlp", "table-logistic", "text-gru", "text-logistic"],
)
def test_a_logged_model_predicts_as_the_fitted_one(
    data: Any, family: ModelConfig, tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, inputs = data()
    model_file, config_file, expected = fitted(family, card, inputs, tmp_path)
    example = {name: array[:2] for name, array in inputs.items()}
    with tracking.start_run("run") as run:
        run.log_model(model_file, config_file, card, example)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    outputs = MlflowClient(tracking.uri).get_run(run.run_id).outputs.model_outputs
    assert len(outputs) == 1
    model = pyfunc.load_model(f"models:/{outputs[0].model_id}")
    assert model.metadata.signature.outputs.input_names() == CLASSES

    from_example = model.predict(model.input_example)
    np.testing.assert_allclose(from_example.to_numpy(), expected[:2], atol=1e-6)
    assert list(from_example.columns) == CLASSES
    if data is text:
        np.testing.assert_allclose(model.predict(pd.DataFrame({"text": WORDS})).to_numpy(), expected, atol=1e-6)
    elif data is not table:
        given = inputs if len(inputs) > 1 else inputs["x"]
        np.testing.assert_allclose(model.predict(given).to_numpy(), expected, atol=1e-6)
        assert len(model.predict({k: v[:0] for k, v in given.items()} if isinstance(given, dict) else given[:0])) == 0
    else:
        rows = model.predict(raw_table())
        np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)
        with pytest.raises(MlflowException, match="income"):
            model.predict(raw_table().drop(columns="income"))


@pytest.fixture
def logged(tracking: Tracking, tmp_path: Path) -> str:
    """A run with the model of an image CNN."""
    card, inputs = image()
    model_file, config_file, _ = fitted(CNNConfig(width=4, depth=2), card, inputs, tmp_path)
    with tracking.start_run("run") as run:
        run.log_model(model_file, config_file, card, {"x": inputs["x"][:1]})
    return run.run_id


def test_a_logged_model_belongs_to_its_run_and_holds_no_pickle(logged: str, tracking: Tracking) -> None:
    client = MlflowClient(tracking.uri)
    models = client.search_logged_models([tracking.experiment_id], f"source_run_id = '{logged}'")
    assert [(model.name, model.status.name) for model in models] == [("model", "READY")]
    folder = Path(models[0].artifact_location.removeprefix("file://"))
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"MLmodel", "pyfunc_model.py", "artifacts/weights.safetensors", "artifacts/config.yaml"} <= files
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pt", ".ckpt", ".joblib"))]
    description = yaml.safe_load((folder / "MLmodel").read_text())
    assert description["model_id"] == models[0].model_id
    assert any(line.startswith("torch==") for line in (folder / "requirements.txt").read_text().splitlines())


def test_the_weights_of_a_logged_model_can_be_verified(logged: str, tracking: Tracking) -> None:
    assert verify(logged, uri=tracking.uri) == []
    model = MlflowClient(tracking.uri).search_logged_models([tracking.experiment_id])[0]
    folder = Path(model.artifact_location.removeprefix("file://"))
    (folder / "artifacts" / "weights.safetensors").write_bytes(b"other")
    assert [difference.what for difference in verify(logged, uri=tracking.uri)] == ["model"]


def test_the_same_model_is_logged_once_however_often_it_is_delivered(
    logged: str, tracking: Tracking, tmp_path: Path
) -> None:
    card, inputs = image()
    with tracking.start_run("run", resume_run_id=logged) as run:
        for _ in range(2):
            run.log_model(tmp_path / "weights.safetensors", tmp_path / "config.yaml", card, {"x": inputs["x"][:1]})
    client = MlflowClient(tracking.uri)
    assert len(client.search_logged_models([tracking.experiment_id])) == 1
    assert len(client.get_run(logged).outputs.model_outputs) == 1


def test_logging_and_loading_a_model_is_quick_and_quiet(
    logged: str,
    tracking: Tracking,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    card, inputs = image()
    with tracking.start_run("second") as run:
        run.set_tags({"x": "y"})
        with timed() as seconds:
            run.log_model(tmp_path / "weights.safetensors", tmp_path / "config.yaml", card, {"x": inputs["x"][:1]})
    # the bound is 0.5; what is measured on a quiet machine is far below
    assert seconds[0] < 0.5
    for model in MlflowClient(tracking.uri).search_logged_models([tracking.experiment_id]):
        assert pyfunc.load_model(model.artifact_location).predict(inputs["x"]).shape == (EXAMPLES, len(CLASSES))
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_models_can_be_left_out(tracking: Tracking, tmp_path: Path) -> None:
    tracking._config.models = False
    with tracking.start_run("run") as run:
        run.log_model(tmp_path / "none", tmp_path / "none", image()[0], {})
    assert not MlflowClient(tracking.uri).search_logged_models([tracking.experiment_id])


def test_settings_of_the_user_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "99")
    prepare_environment(request_seconds=15)
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "99"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
