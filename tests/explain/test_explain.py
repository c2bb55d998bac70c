"""`heldout explain`: from a record or a run in MLflow to pages, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tests.models.examples import KINDS

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.explain import ExplainConfig, Method
from heldout.data.errors import PackageMissing
from heldout.errors import UserError
from heldout.explain import explain as module
from heldout.explain.explain import Explained, Explanation, explain
from heldout.explain.figures import figure
from heldout.explain.run import NotExplainable
from heldout.record import Record
from heldout.training.train import train

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("data=digits", "data.limit=300", "tracking.system_metrics_seconds=null")


def settings(*overrides: str) -> ExplainConfig:
    with hydra_session():
        config = to_stage(compose_stage("explain", list(overrides)))
    assert isinstance(config, ExplainConfig)
    return config


@pytest.fixture(scope="module")
def records(place: Path) -> dict[str, Record]:
    """A trained transformer, and others that were hardly trained."""
    made = {}
    for model, epochs in (("transformer", 4), ("mlp", 1), ("majority", 1)):
        overrides = [f"model={model}", f"trainer.max_epochs={epochs}", f"out={place / model}", *QUICK]
        with hydra_session():
            config = to_stage(compose_stage("train", overrides))
        (made[model],) = train(config)
    return made


@pytest.fixture
def record(records: dict[str, Record]) -> Record:
    return records["transformer"]


def test_a_record_gets_a_page_for_each_method_and_a_number(record: Record) -> None:
    out = explain(settings(f"run={record.path}", "examples=3", "steps=8"))
    assert out == record.path / "explain"
    content = json.loads((out / "explain.json").read_text())
    assert list(content) == ["integrated_gradients", "occlusion", "attention_rollout"]
    for name, said in content.items():
        assert len(said["examples"]) == 3
        assert -1 <= said["rank_correlation"] <= 1
        assert f"random weights: {said['rank_correlation']:.2f}" in (out / f"{name}.html").read_text()
    # by what was learned, not by the weights it began with
    assert content["integrated_gradients"]["rank_correlation"] < 0.7
    client = MlflowClient("sqlite:///mlflow.db")
    run_id = record.info["mlflow"]["run_id"]
    names = {item.path for item in client.list_artifacts(run_id, "explain")}
    assert names == {"explain/explain.json", *(f"explain/{name}.html" for name in content)}
    told = client.get_run(run_id).data.metrics["explain/occlusion_rank_correlation"]
    assert told == pytest.approx(content["occlusion"]["rank_correlation"])


def test_without_its_model_file_a_record_takes_it_from_mlflow(record: Record, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(record.path, copy)
    (copy / "weights.safetensors").unlink()
    by_id = settings(f"run={record.info['mlflow']['run_id']}", "examples=1", "methods=[occlusion]", "out=by_id")
    by_copy = settings(f"run={copy}", "examples=1", "methods=[occlusion]", "out=by_copy")
    assert (explain(by_id) / "explain.json").read_text() == (explain(by_copy) / "explain.json").read_text()


def test_a_record_of_dvc_is_left_as_it_is(record: Record) -> None:
    out = record.path.parent.relative_to(Path.cwd())
    Path("dvc.lock").write_text(f"schema: '2.0'\nstages:\n  train:\n    outs:\n    - path: {out}\n      md5: abc\n")
    before = sorted(record.path.iterdir())
    relative = record.path.relative_to(Path.cwd())
    try:
        written = explain(settings(f"run={relative}", "examples=1", "methods=[occlusion]"))
    finally:
        Path("dvc.lock").unlink()
    assert written == Path("explained") / relative
    assert sorted(record.path.iterdir()) == before


@pytest.mark.parametrize(
    ("model", "overrides", "error", "said"),
    [
        ("mlp", ["methods=[attention_rollout]"], NotExplainable, "expected one of integrated_gradients, occlusion"),
        ("majority", [], NotExplainable, "expected a network"),
        ("mlp", ["prepared=elsewhere"], UserError, "elsewhere"),
    ],
)
def test_what_cannot_be_explained_is_refused_and_leaves_nothing(
    records: dict[str, Record], model: str, overrides: list[str], error: type[Exception], said: str
) -> None:
    folder = records[model].path
    before = sorted(folder.iterdir())
    with pytest.raises(error, match=said):
        explain(settings(f"run={folder}", *overrides))
    assert sorted(folder.iterdir()) == before


def test_the_parts_of_a_predicted_number_add_up_in_its_unit(place: Path) -> None:
    overrides = ["data=diabetes", "task=regress", "model=mlp", "trainer.max_epochs=5", f"out={place / 'number'}"]
    with hydra_session():
        config = to_stage(compose_stage("train", [*overrides, "tracking.system_metrics_seconds=null"]))
    (record,) = train(config)
    out = explain(settings(f"run={record.path}", "examples=4", "steps=64"))
    said = json.loads((out / "explain.json").read_text())["integrated_gradients"]["examples"]
    validation = record.predictions_of("validation")
    numbers = dict(zip(validation.ids.tolist(), validation.columns["prediction"].tolist(), strict=True))
    # the path of each begins at the mean of train
    begins = [one["predicted"] - sum(map(sum, one["attributions"].values())) for one in said]
    for one in said:
        assert one["predicted"] == pytest.approx(numbers[one["id"]], rel=1e-4)
        assert one["probability"] is None
    assert begins == pytest.approx([begins[0]] * 4, rel=0.01)
    assert max(one["predicted"] for one in said) - min(one["predicted"] for one in said) > 10
    assert ", is " in (out / "integrated_gradients.html").read_text()


def test_without_captum_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(PackageMissing, match=r"pip install 'heldout\[explain\]'"):
        explain(ExplainConfig(run="nothing"))


@pytest.mark.parametrize("kind", ["image", "odd colour image", "unequal series", "table", "numeric table", "text"])
def test_every_kind_of_data_has_a_figure(kind: str) -> None:
    example = KINDS[kind]()
    rows = [
        Explained(
            id=str(row),
            inputs={name: of[row] for name, of in example.inputs.items()},
            target=0,
            predicted=row % 2,
            probability=0.75,
            attributions={
                name: of[row].astype(float) if of[row].ndim < 3 else of[row].astype(float).sum(axis=0)
                for name, of in example.inputs.items()
                if name != "length"
            },
            rank_correlations=[0.25],
        )
        for row in range(2)
    ]
    made = figure(Explanation(Method.occlusion, rows, 0.25), example.card, "a run")
    assert "random weights: 0.25" in made.layout.title.text
    told = [a.text for a in made.layout.annotations] or list(made.data[0].x)
    assert any("a (0.75), right" in text for text in told)
    assert any("b (0.75), is a" in text for text in told)
