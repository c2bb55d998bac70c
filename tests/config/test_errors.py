"""Every mistake in a config is one message with the key, what was given and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.errors import ConfigError
from heldout.config.model import CNNConfig
from heldout.config.stages import TrainConfig


def message(*overrides: str, stage: str = "train") -> str:
    with hydra_session(), pytest.raises(ConfigError) as caught:
        compose_stage(stage, overrides)
    return str(caught.value)


def test_a_good_config_is_typed() -> None:
    with hydra_session():
        config = to_stage(compose_stage("train", ["model=cnn", "model.width=16"]))
    assert isinstance(config, TrainConfig)
    assert isinstance(config.model, CNNConfig)
    assert config.model.width == 16
    assert config.optimizer.learning_rate == config.model.learning_rate


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.hiden=[8]", ["model.hiden", "Did you mean 'hidden'?", "Keys of 'model'"]),
        ("+model.foo=1", ["there is no key 'model.foo'"]),
        ("foo=1", ["there is no key 'foo'", "Keys of the top level"]),
        ("model=cnnn", ["model=cnnn", "Did you mean 'cnn'?", "Expected one of"]),
        ("nonsense=x", ["there is no key 'nonsense'"]),
        ("trainer.max_epochs=1.5", ["trainer.max_epochs", "1.5 is of type float", "a whole number"]),
        ("trainer.max_epochs=many", ["trainer.max_epochs", "many", "a whole number"]),
        ("model.dropout=high", ["model.dropout", "high", "a number"]),
        ("trainer.deterministic=perhaps", ["trainer.deterministic", "true or false"]),
        ("trainer.accelerator=tpu", ["trainer.accelerator", "'tpu'", "[auto, cpu, gpu, mps]"]),
        ("seeds=[a]", ["seeds[0]", "a whole number"]),
        ("data.split.method=odd", ["data.split.method", "'odd'", "stratified"]),
        ("model=mlp,cnn", ["model=mlp,cnn", "add -m"]),
        ("tracking.tags.team=x", ["'tracking.tags' has no 'team'", "+tracking.tags.team="]),
        ("tracking.uri=./mlruns", ["tracking.uri=./mlruns is a folder", "sqlite:///mlflow.db"]),
        ("model.width=[", ["cannot read the override", "key=value"]),
        ("trainer.max_epochs=0", ["trainer.max_epochs=0", "more than 0"]),
        ("model.dropout=1.5", ["model.dropout=1.5", "below 1"]),
        ("seeds=[1,1]", ["seeds=[1, 1]", "none twice"]),
        ("data.split.validation=1.2", ["data.split.validation=1.2", "between 0 and 1"]),
        ("trainer.monitor=f1", ["trainer.monitor=f1", "loss or accuracy"]),
    ],
)
def test_names_key_value_and_expectation(override: str, expected: list[str]) -> None:
    text = message(override)
    for part in expected:
        assert part in text
    assert "schema" not in text, "the schemas behind the groups are no options"


def test_an_impossible_pair_names_the_families_that_fit() -> None:
    text = message("data=breast_cancer", "model=cnn")
    assert "model=cnn with data=breast_cancer" in text
    assert "mlp" in text.split("Expected one of")[1]
    assert "lstm" not in text.split("Expected one of")[1]


def test_several_problems_are_said_at_once() -> None:
    assert len(message("trainer.batch_size=0", "model.dropout=2").splitlines()) == 2


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "some.csv"
    path.write_text("age,city,label\n1,a,x\n2,b,y\n", encoding="utf-8")
    return path


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    text = message("data=table", f"data.path={tmp_path}/none.csv", "data.target=label")
    assert "none.csv" in text
    assert "no such file" in text


def test_a_target_that_is_not_there(csv: Path) -> None:
    text = message("data=table", f"data.path={csv}", "data.target=lable")
    assert "data.target=lable" in text
    assert "age, city, label" in text


def test_a_separator_of_two_characters(csv: Path) -> None:
    text = message("data=table", f"data.path={csv}", "data.target=label", 'data.separator=";;"')
    assert "data.separator=;;: expected one character" in text


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    assert "empty" in message("data=table", f"data.path={tmp_path}/empty.csv", "data.target=label")


def test_a_value_that_was_not_given() -> None:
    assert "data.path" in message("data=table", "data.target=label")


def test_a_grouped_split_without_its_column(csv: Path) -> None:
    text = message("data=table", f"data.path={csv}", "data.target=label", "data.split.method=grouped")
    assert "data.split.column" in text


def test_a_mistake_in_a_group_file_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    from heldout.config.compose import conf_dir

    copy = tmp_path / "conf"
    shutil.copytree(conf_dir(), copy)
    with (copy / "model" / "cnn.yaml").open("a") as file:
        file.write("widht: 3\n")
    monkeypatch.setenv("HELDOUT_CONF", str(copy))
    text = message("model=cnn")
    assert "model/cnn" in text
    assert "widht" in text


def test_a_group_file_that_is_no_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    from heldout.config.compose import conf_dir

    copy = tmp_path / "conf"
    shutil.copytree(conf_dir(), copy)
    (copy / "trainer" / "default.yaml").write_text("a: [1\n")
    monkeypatch.setenv("HELDOUT_CONF", str(copy))
    text = message()
    assert "YAML" in text
    assert "trainer/default.yaml" in text
