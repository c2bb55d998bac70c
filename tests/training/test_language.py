"""A language model, from the texts to what MLflow, comparisons and predictions know of it."""

from __future__ import annotations

import math
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.tracking import MlflowClient
from tests.conftest import stage

from heldout.analysis.compare import compare
from heldout.config.analysis import AnalysisConfig
from heldout.config.compose import load_model_config
from heldout.config.errors import ConfigError
from heldout.config.stages import EvaluateConfig
from heldout.data.card import Card
from heldout.data.tokens import SEPARATOR, load_tokenizer
from heldout.explain.explain import explain
from heldout.explain.run import NotExplainable
from heldout.models import build, load_weights
from heldout.predict.predict import predict
from heldout.record import Record
from heldout.training.evaluate import evaluate
from heldout.training.train import train

NOTES = "notes.csv"
WORDS = ("one", "two", "three", "four", "five", "six", "seven")
CORPUS = (
    "data=corpus",
    f"data.path={NOTES}",
    "data.id=note",
    "data.tokens.vocabulary=300",
    "data.tokens.max_tokens=16",
)
TINY = ("model.width=16", "model.depth=1", "model.heads=2", "model.dropout=0", "model.learning_rate=0.01")
QUICK = ("trainer.max_epochs=8", "trainer.batch_size=16", "tracking.system_metrics_seconds=null")
SAMPLES = ("task.samples.count=2", "task.samples.max_tokens=6", "task.samples.prompt=one two")


@pytest.fixture(scope="module")
def place(place: Path) -> Path:
    """A folder with texts that count on from anywhere, each of its own length."""
    counted = [" ".join(WORDS[(at + step) % 7] for step in range(length)) for at in range(7) for length in range(3, 33)]
    pd.DataFrame({"note": [f"n-{n}" for n in range(len(counted))], "text": counted}).to_csv(NOTES, index=False)
    return place


@pytest.fixture(scope="module")
def records(place: Path) -> dict[str, Record]:
    """By family, with test results."""
    made = {}
    for model, settings in {"gpt": (*TINY, *SAMPLES), "ngram": (), "unigram": ()}.items():
        config = stage("train", *CORPUS, "task=language", f"model={model}", f"out={place / model}", *settings, *QUICK)
        train(config)
        (made[model],) = evaluate(
            EvaluateConfig(runs=str(place / model), out=f"records/{model}", tracking=config.tracking)
        )
    return made


def network_of(folder: Path) -> tuple[torch.nn.Module, Card]:
    card = Card.load(folder)
    network = build(load_model_config(folder / "config.yaml"), card)
    load_weights(network, folder / "weights.safetensors")
    return network.eval(), card


@pytest.mark.parametrize("family", ["gpt", "ngram", "unigram"])
def test_what_an_epoch_measures_is_what_predictions_say(records: dict[str, Record], family: str) -> None:
    record = records[family]
    assert record.task == "language"
    at_kept = record.history[record.history["epoch"] == record.info["kept_epoch"]].set_index("split")
    for split in ("train", "validation"):
        for name, value in record.scoring.of(record.predictions_of(split)).items():
            assert at_kept.at[split, name] == pytest.approx(value, rel=1e-3, abs=1e-4), (split, name)
    assert record.info["test"] == pytest.approx(record.scoring.of(record.predictions_of("test")))


def test_counting_is_learned_and_the_comparison_says_so(records: dict[str, Record]) -> None:
    """Who sees the word before knows the next; what is left is where a text begins and ends."""
    families = {one.family: one for one in compare(list(records.values()), AnalysisConfig()).families}
    scores = {name: one.score["validation"].value for name, one in families.items()}
    assert scores["unigram"] == pytest.approx(0, abs=0.05)
    assert scores["gpt"] > 0.5
    assert scores["ngram"] > 0.5
    assert families["unigram"].verdict.label != "good"
    assert families["gpt"].verdict.label != "underfit"


def test_mlflow_has_the_measures_and_the_texts_that_the_model_wrote(records: dict[str, Record], place: Path) -> None:
    client = MlflowClient(f"sqlite:///{place}/mlflow.db")
    run_id = records["gpt"].info["mlflow"]["run_id"]
    assert {"kept/validation_pseudo_r2", "validation/bits_per_byte", "test/perplexity"} <= client.get_run(
        run_id
    ).data.metrics.keys()
    said = Path(client.download_artifacts(run_id, "samples.txt", str(place))).read_text(encoding="utf-8")
    assert said == (place / "gpt" / "seed-0" / "samples.txt").read_text(encoding="utf-8")
    texts = [part.partition("\n")[2].strip() for part in said.split("--- ")[1:]]
    assert len(texts) == 2
    assert all(text.startswith("one two") for text in texts)


def test_the_model_in_mlflow_gives_bits_a_byte_of_a_text(records: dict[str, Record], place: Path) -> None:
    """As reckoned from the logits of the network, token by token."""
    store = f"sqlite:///{place}/mlflow.db"
    mlflow.set_tracking_uri(store)
    run = MlflowClient(store).get_run(records["gpt"].info["mlflow"]["run_id"])
    models = MlflowClient(store).search_logged_models([run.info.experiment_id])
    (model,) = [one for one in models if one.source_run_id == run.info.run_id]
    text = "three four five"
    found = mlflow.pyfunc.load_model(model.model_uri).predict(pd.DataFrame({"text": [text, "xq" * 5]}))
    network, card = network_of(place / "gpt" / "seed-0")
    tokens = [SEPARATOR, *load_tokenizer(card.tokenizer).encode(text).ids, SEPARATOR]
    with torch.no_grad():
        logits = network.logits(torch.tensor([tokens[:-1]]))[0]
    nats = -sum(float(torch.log_softmax(row, 0)[token]) for row, token in zip(logits, tokens[1:], strict=True))
    assert found["bits_per_byte"][0] == pytest.approx(nats / math.log(2) / len(text), rel=1e-4)
    assert found["bits_per_byte"][1] > found["bits_per_byte"][0]


def test_predict_gives_bits_a_byte_of_the_rows_of_a_file(records: dict[str, Record], place: Path) -> None:
    pd.DataFrame({"id": ["known", "odd"], "text": ["two three four", "qqqq xxxx"]}).to_csv("given.csv", index=False)
    for model in ("gpt", "ngram"):
        written = predict(stage("predict", f"run={model}/seed-0", "path=given.csv", "id=id", "out=predicted"))
        bits = pd.read_parquet(written).set_index("id")["bits_per_byte"]
        assert bits["odd"] > bits["known"] > 0
    split = predict(stage("predict", "run=gpt/seed-0", "out=predicted"))
    record = records["gpt"]
    of = record.predictions_of("validation")
    expected = of.columns["loss"] / (math.log(2) * of.columns["bytes"])
    np.testing.assert_allclose(pd.read_parquet(split).set_index("id").loc[of.ids, "bits_per_byte"], expected, rtol=1e-4)


def test_explain_refuses_a_language_model(records: dict[str, Record]) -> None:
    with pytest.raises(
        NotExplainable, match="predicts the next token of a text; expected a network that tells classes"
    ):
        explain(stage("explain", "run=gpt/seed-0"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=gpt"], "Expected task=language"),
        (
            ["model=gru_text", "task=language"],
            "the next token .*which this family cannot predict. Expected one of: gpt",
        ),
        (["model=gpt", "task=language", "trainer.monitor=accuracy"], "expected loss or pseudo_r2 or bits_per_byte"),
        (["model=gpt", "task=language", "model.width=10"], "a width that the heads divide"),
        (["model=gpt", "task=language", "task.samples.top_p=0"], "task.samples.top_p=0"),
    ],
)
def test_what_does_not_go_together_is_one_message(place: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        stage("train", *CORPUS, *overrides)
