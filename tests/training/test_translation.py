"""Translation, from pairs of texts to what MLflow, comparisons, reports and predictions know of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from tests.conftest import stage

from heldout.analysis.compare import Comparison, compare
from heldout.analysis.translated import by_family
from heldout.config.analysis import AnalysisConfig
from heldout.config.errors import ConfigError
from heldout.config.stages import EvaluateConfig
from heldout.explain.explain import explain
from heldout.explain.run import NotExplainable
from heldout.predict.predict import predict
from heldout.record import Record, RecordError
from heldout.report import write_report
from heldout.training.evaluate import evaluate
from heldout.training.train import train
from heldout.translations import corpus_score, sentence_chrf, signatures

FILE = "pairs.tsv"
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
NOMBRES = ("un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit")
PAIRS = (
    "data=pairs",
    f"data.path={FILE}",
    "data.separator='\t'",
    "data.tokens.vocabulary=330",
    "data.tokens.max_tokens=12",
)
TINY = ("model.width=32", "model.depth=1", "model.heads=4", "model.dropout=0", "model.learning_rate=0.005")
QUICK = (
    "trainer.max_epochs=8",
    "trainer.batch_size=16",
    "trainer.gradient_clip=1",
    "tracking.system_metrics_seconds=null",
    "task.samples=2",
)
# the model of one baseline in MLflow is enough
FAMILIES = {"encoder_decoder": TINY, "translation_memory": (), "copy_source": ("tracking.models=false",)}


@pytest.fixture(scope="module")
def place(place: Path) -> Path:
    """A folder with texts of three numbers each, English to French, word by word."""
    drawn = [(one, other, last) for one in range(8) for other in range(8) for last in range(8)]
    sides = [
        [" ".join([begin, *(words[n] for n in numbers)]) for numbers in drawn]
        for begin, words in (("count", NUMBERS), ("comptez", NOMBRES))
    ]
    pd.DataFrame({"source": sides[0], "translation": sides[1]}).to_csv(FILE, sep="\t", index=False)
    return place


@pytest.fixture(scope="module")
def records(place: Path) -> dict[str, Record]:
    """By family, with test results."""
    made = {}
    for model, settings in FAMILIES.items():
        config = stage("train", *PAIRS, "task=translate", f"model={model}", f"out={place / model}", *settings, *QUICK)
        train(config)
        (made[model],) = evaluate(
            EvaluateConfig(runs=str(place / model), out=f"records/{model}", tracking=config.tracking)
        )
    return made


@pytest.mark.parametrize("family", FAMILIES)
def test_a_record_holds_texts_and_what_is_measured_of_them(records: dict[str, Record], family: str) -> None:
    record = records[family]
    assert record.task == "translation"
    assert record.prediction_splits == ("train", "validation", "test")
    assert record.info["signatures"] == signatures()
    for split in record.prediction_splits:
        rows = record.predictions_of(split)
        texts = {name: of.tolist() for name, of in rows.texts.items()}
        for source, reference in zip(texts["source"], texts["reference"], strict=True):
            numbers = [NUMBERS.index(word) for word in source.split()[1:]]
            assert numbers == [NOMBRES.index(word) for word in reference.split()[1:]]
        np.testing.assert_allclose(rows.columns["chrf"], sentence_chrf(texts["hypothesis"], texts["reference"]))
        assert (rows.columns["loss"] > 0).all()
        assert set(rows.columns["tokens"]) >= {5.0}
    rows = record.predictions_of("test")
    bleu = corpus_score("bleu", rows.texts["hypothesis"].tolist(), rows.texts["reference"].tolist())
    assert record.info["test"]["bleu"] == pytest.approx(bleu)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_of_an_epoch_is_that_of_the_predictions(records: dict[str, Record], family: str) -> None:
    """Measured in batches of their own, sorted by length, and without the smoothing of labels."""
    record = records[family]
    for split in ("train", "validation"):
        measured = record.scoring.of(record.predictions_of(split))
        assert record.kept(split, "loss") == pytest.approx(measured["loss"], rel=1e-3)
        assert record.kept(split, "perplexity") == pytest.approx(measured["perplexity"], rel=1e-3)


def test_an_epoch_translates_a_part_by_greed(records: dict[str, Record]) -> None:
    """100 of them, where the record has all, by a beam: near each other, as the network is sure."""
    record = records["encoder_decoder"]
    for split in ("train", "validation"):
        rows = record.predictions_of(split)
        assert record.kept(split, "chrf") == pytest.approx(rows.columns["chrf"].mean(), abs=0.05)
    history = record.history[record.history["split"] == "validation"]
    assert history["chrf"].iloc[0] < 0.7 < history["chrf"].iloc[-1]


def test_word_by_word_is_learned_and_the_comparison_says_so(records: dict[str, Record]) -> None:
    """The network puts words together that it has seen apart; a memory cannot, and a copy has the one common word."""
    comparison = compare(list(records.values()), AnalysisConfig(bootstrap_samples=100))
    families = {one.family: one for one in comparison.families}
    scores = {name: one.score["validation"].value for name, one in families.items()}
    assert scores["encoder_decoder"] > 0.9 > scores["translation_memory"] > scores["copy_source"]
    assert families["encoder_decoder"].verdict.label == "good"
    assert families["translation_memory"].verdict.label == "overfit"
    assert families["encoder_decoder"].lift is not None
    assert families["encoder_decoder"].lift.value.lower > 0
    bleu = {one.label: one.scores["bleu"]["test"] for one in comparison.translated}
    for name, estimate in bleu.items():
        assert estimate.value == pytest.approx(records[name].info["test"]["bleu"])
        assert estimate.lower <= estimate.value <= estimate.upper
    assert 0 < bleu["translation_memory"].lower < bleu["translation_memory"].upper < 100
    assert Comparison.from_json(comparison.to_json()) == comparison


def test_seeds_are_summed_up(records: dict[str, Record]) -> None:
    (one,) = compare([records["translation_memory"]], AnalysisConfig(bootstrap_samples=20)).translated
    found = by_family([one, one], 0.95)[one.name].scores["bleu"]["validation"]
    assert found.value == one.scores["bleu"]["validation"].value
    assert "all seeds agree" in found.method


def test_the_report_shows_scores_and_examples(records: dict[str, Record], place: Path) -> None:
    write_report([compare(list(records.values()), AnalysisConfig(bootstrap_samples=20))], place / "report.html")
    page = (place / "report.html").read_text(encoding="utf-8")
    rows = records["encoder_decoder"].predictions_of("validation")
    assert "<h3>Translations</h3>" in page
    for text in (rows.texts["source"][0], rows.texts["reference"][0], rows.texts["hypothesis"][0]):
        assert f"<td>{text}" in page
    assert signatures()["bleu"] in page


def test_mlflow_has_scores_signatures_and_samples(records: dict[str, Record], place: Path) -> None:
    client = MlflowClient(f"sqlite:///{place}/mlflow.db")
    for family in FAMILIES:
        run_id = records[family].info["mlflow"]["run_id"]
        run = client.get_run(run_id)
        assert {"kept/validation_bleu", "validation/chrf", "test/corpus_chrf", "test/bleu"} <= run.data.metrics.keys()
        assert run.data.tags["heldout.signature.bleu"] == signatures()["bleu"]
        rows = records[family].predictions_of("validation")
        said = Path(client.download_artifacts(run_id, "samples.txt", str(place))).read_text(encoding="utf-8")
        assert said.count("---\n") == 2
        for name, label in (("source", "source"), ("reference", "reference"), ("hypothesis", "model")):
            assert f"{label:10} {rows.texts[name][1]}\n" in said


def test_the_model_in_mlflow_translates(records: dict[str, Record], place: Path) -> None:
    store = f"sqlite:///{place}/mlflow.db"
    mlflow.set_tracking_uri(store)
    for family in ("encoder_decoder", "translation_memory"):
        run = MlflowClient(store).get_run(records[family].info["mlflow"]["run_id"])
        models = MlflowClient(store).search_logged_models([run.info.experiment_id])
        (model,) = [one for one in models if one.source_run_id == run.info.run_id]
        rows = records[family].predictions_of("test")
        given = pd.DataFrame({"text": rows.texts["source"][:5]})
        found = mlflow.pyfunc.load_model(model.model_uri).predict(given)
        assert found["translation"].tolist() == rows.texts["hypothesis"][:5].tolist()


def test_predict_translates_lines_rows_and_a_split(
    records: dict[str, Record], place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = ["count two three one", "count" + 20 * " one", "count four four two"]
    Path("lines.txt").write_text("\n".join(given) + "\n", encoding="utf-8")
    pd.DataFrame({"name": ["x", "y"], "source": given[::2]}).to_csv("rows.csv", index=False)
    of_lines = pd.read_parquet(predict(stage("predict", "run=encoder_decoder/seed-0", "path=lines.txt", "out=lines")))
    assert of_lines["id"].tolist() == ["1", "2", "3"]
    assert of_lines["translation"][0] == "comptez deux trois un"
    assert "of 1 texts the first 12 tokens are read" in caplog.text
    for model in ("encoder_decoder", "copy_source"):
        written = predict(stage("predict", f"run={model}/seed-0", "path=rows.csv", "id=name", "out=rows"))
        of_rows = pd.read_parquet(written)
        assert of_rows["id"].tolist() == ["x", "y"]
        assert of_rows["source"].tolist() == given[::2]
    assert of_rows["translation"].tolist() == given[::2]
    of_split = pd.read_parquet(predict(stage("predict", "run=encoder_decoder/seed-0", "out=split"))).set_index("id")
    rows = records["encoder_decoder"].predictions_of("validation")
    assert of_split.loc[rows.ids, "translation"].tolist() == rows.texts["hypothesis"].tolist()


def test_explain_refuses_a_translation(records: dict[str, Record]) -> None:
    with pytest.raises(NotExplainable, match="predicts a translation; expected a network that tells classes apart"):
        explain(stage("explain", "run=encoder_decoder/seed-0"))


def test_a_record_without_its_texts_is_refused(records: dict[str, Record], tmp_path: Path) -> None:
    folder = tmp_path / "record"
    shutil.copytree(records["copy_source"].path, folder)
    table = pd.read_parquet(folder / "predictions.parquet")
    table.drop(columns="hypothesis").to_parquet(folder / "predictions.parquet", index=False)
    with pytest.raises(RecordError, match="lacks the column hypothesis"):
        Record.load(folder).predictions_of("validation")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=encoder_decoder"], "Expected task=translate"),
        (
            ["model=gpt", "task=translate"],
            "which this family cannot predict. Expected one of: encoder_decoder, copy_source, translation_memory",
        ),
        (["model=encoder_decoder", "task=translate", "trainer.monitor=bleu"], "expected loss or chrf or perplexity"),
        (["model=encoder_decoder", "task=translate", "model.width=10"], "a width that the heads divide"),
        (["model=encoder_decoder", "task=translate", "task.search.beam=0"], "task.search.beam=0: expected more than 0"),
    ],
)
def test_what_does_not_go_together_is_one_message(place: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        stage("train", *PAIRS, *overrides)
