"""A snapshot changes when, and only when, an edit in conf/ reaches its stage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from heldout.config.compose import conf_dir
from heldout.config.errors import ConfigError
from heldout.config.model import CNNConfig
from heldout.config.snapshot import load_snapshot, read_matrix, select_profile, write_snapshots
from heldout.config.stages import TrainConfig


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = tmp_path / "conf"
    shutil.copytree(conf_dir(), copy)
    small = {
        "data": ["digits", "mnist1d"],
        "ordered": {"data": ["digits", "mnist1d"], "model": ["mlp", "cnn", "logistic"]},
        "tables": {"data": [], "model": []},
        "overrides": ["seeds=[0,1]", "trainer.max_epochs=4"],
    }
    (copy / "matrix.yaml").write_text(yaml.safe_dump(small))
    monkeypatch.setenv("HELDOUT_CONF", str(copy))
    return copy


def contents(out: Path) -> dict[str, str]:
    write_snapshots(out)
    return {str(p.relative_to(out)): p.read_text() for p in sorted(out.glob("*/*.yaml"))}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


BOTH = ("digits", "mnist1d")
EDITS = [
    ("model/cnn.yaml", "dropout: 0.123\n", {f"train/{data}-cnn.yaml" for data in BOTH}),
    ("model/cnn.yaml", "# a comment\n", set()),
    (
        "data/digits.yaml",
        "limit: 500\n",
        {"prepare/digits.yaml", "validate/digits.yaml"}
        | {f"train/digits-{model}.yaml" for model in ("mlp", "cnn", "logistic")},
    ),
    ("analysis/default.yaml", "bootstrap_samples: 77\n", {f"compare/{data}.yaml" for data in BOTH}),
    ("quality/default.yaml", "near_duplicate_similarity: 0.5\n", {f"validate/{data}.yaml" for data in BOTH}),
    (
        "trainer/default.yaml",
        "batch_size: 17\n",
        {f"train/{data}-{model}.yaml" for data in BOTH for model in ("mlp", "cnn")},
    ),
    ("tracking/default.yaml", "flush_seconds: 3.5\n", set()),
]


@pytest.mark.parametrize(("file", "line", "reached"), EDITS, ids=[f"{f}:{line.strip()}" for f, line, _ in EDITS])
def test_an_edit_changes_the_snapshots_it_reaches(
    conf: Path, tmp_path: Path, file: str, line: str, reached: set[str]
) -> None:
    before = contents(tmp_path / "out")
    key = line.split(":")[0]
    kept = [old for old in (conf / file).read_text().splitlines() if not old.startswith(f"{key}:")]
    (conf / file).write_text("\n".join(kept) + "\n" + line)
    assert changed(before, contents(tmp_path / "out")) == reached


def test_a_new_seed_reaches_every_training_and_nothing_else(conf: Path, tmp_path: Path) -> None:
    before = contents(tmp_path / "out")
    path = conf / "matrix.yaml"
    path.write_text(path.read_text().replace("seeds=[0,1]", "seeds=[0,1,2]"))
    assert {name.split("/")[0] for name in changed(before, contents(tmp_path / "out"))} == {"train"}


def test_a_model_taken_out_leaves_no_snapshot_behind(conf: Path, tmp_path: Path) -> None:
    contents(tmp_path / "out")
    path = conf / "matrix.yaml"
    path.write_text(path.read_text().replace("  - cnn\n", ""))
    assert "train/digits-cnn.yaml" not in contents(tmp_path / "out")


def test_a_snapshot_is_read_back_as_it_was_composed(conf: Path, tmp_path: Path) -> None:
    write_snapshots(tmp_path / "out")
    config = load_snapshot(tmp_path / "out/train/mnist1d-cnn.yaml", "train")
    assert isinstance(config, TrainConfig)
    assert isinstance(config.model, CNNConfig)
    assert config.seeds == [0, 1]
    assert config.trainer.max_epochs == 4
    assert config.tracking.flush_seconds > 0, "tracking comes from conf/ as it is now"


def test_the_params_file_holds_what_the_snapshots_hold(conf: Path, tmp_path: Path) -> None:
    snapshots = contents(tmp_path / "out")
    params = yaml.safe_load((tmp_path / "out" / "params.yaml").read_text())
    assert {f"{stage}/{name}.yaml" for stage, named in params.items() for name in named} == set(snapshots)
    for name, content in snapshots.items():
        stage, file = name.removesuffix(".yaml").split("/")
        held = yaml.safe_load(content)
        assert params[stage][file] == {key: value for key, value in held.items() if key != "schema"}


def test_a_mistake_writes_nothing(conf: Path, tmp_path: Path) -> None:
    before = contents(tmp_path / "out")
    (conf / "model" / "cnn.yaml").write_text("defaults: [schema_cnn]\nwidht: 3\n")
    with pytest.raises(ConfigError, match="widht"):
        write_snapshots(tmp_path / "out")
    assert {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").glob("*/*.yaml")} == set(before)


def test_a_snapshot_of_another_stage_is_refused(conf: Path, tmp_path: Path) -> None:
    write_snapshots(tmp_path / "out")
    with pytest.raises(ConfigError, match="not a config of the stage 'train'"):
        load_snapshot(tmp_path / "out/prepare/digits.yaml", "train")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("data: [a]\nordered: {data: [b], model: [mlp]}\ntables: {data: [], model: []}\noverrides: []", r"\['b'\]"),
        ("dta: [a]", "dta"),
        ("data: [", "YAML"),
    ],
)
def test_a_bad_matrix_is_said(tmp_path: Path, content: str, named: str) -> None:
    path = tmp_path / "matrix.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=named):
        read_matrix(path)


def test_profiles(conf: Path) -> None:
    with pytest.raises(ConfigError, match="none of the profiles"):
        select_profile("full")
    shutil.copy(conf / "matrix" / "default.yaml", conf / "matrix.yaml")
    assert select_profile("full") > 50
    assert read_matrix(conf / "matrix.yaml") == read_matrix(conf / "matrix" / "full.yaml")
    with pytest.raises(ConfigError, match="Did you mean 'full'"):
        select_profile("ful")


TUNED = {
    "data": ["digits"],
    "ordered": {"data": ["digits"], "model": ["mlp"]},
    "tables": {"data": [], "model": []},
    "overrides": ["seeds=[0,1]"],
    "sweeps": {"narrow": {"data": "digits", "model": "cnn", "overrides": ["sweep=cnn", "trainer.max_epochs=7"]}},
}


def test_what_a_sweep_found_is_trained_and_compared(conf: Path, tmp_path: Path) -> None:
    (conf / "matrix.yaml").write_text(yaml.safe_dump(TUNED))
    found = {"params": {"model.width": 24, "model.learning_rate": 0.5, "trainer.patience": None}, "trial": 3}
    (tmp_path / "tuned" / "narrow").mkdir(parents=True)
    (tmp_path / "tuned" / "narrow" / "best.yaml").write_text(yaml.safe_dump(found))
    before = contents(tmp_path / "out")
    config = load_snapshot(tmp_path / "out" / "train" / "narrow_tuned.yaml", "train")
    assert isinstance(config, TrainConfig)
    assert isinstance(config.model, CNNConfig)
    assert (config.model.width, config.model.learning_rate, config.trainer.max_epochs) == (24, 0.5, 7)
    assert (config.name, config.out, config.seeds) == ("narrow_tuned", "runs/digits/narrow_tuned", [0, 1])
    for stage in ("evaluate", "compare"):
        assert yaml.safe_load(before[f"{stage}/digits.yaml"])["only"] == ["mlp", "narrow_tuned"]

    # another result reruns that training alone
    found["params"]["model.width"] = 48
    (tmp_path / "tuned" / "narrow" / "best.yaml").write_text(yaml.safe_dump(found))
    assert changed(before, contents(tmp_path / "out")) == {"train/narrow_tuned.yaml"}


@pytest.mark.parametrize("content", [None, "", "params: [1]\n", "trial: 3\n"])
def test_a_sweep_without_a_result_is_named_with_what_to_do(conf: Path, tmp_path: Path, content: str | None) -> None:
    (conf / "matrix.yaml").write_text(yaml.safe_dump(TUNED))
    if content is not None:
        (tmp_path / "tuned" / "narrow").mkdir(parents=True)
        (tmp_path / "tuned" / "narrow" / "best.yaml").write_text(content)
    with pytest.raises(ConfigError, match="heldout sweep narrow"):
        write_snapshots(tmp_path / "out")


def test_a_sweep_on_data_that_the_matrix_lacks_is_refused(conf: Path, tmp_path: Path) -> None:
    sweeps = {"narrow": {"data": "mnist5k", "model": "cnn"}}
    (conf / "matrix.yaml").write_text(yaml.safe_dump({**TUNED, "sweeps": sweeps}))
    with pytest.raises(ConfigError, match=r"sweeps\.narrow\.data=mnist5k"):
        write_snapshots(tmp_path / "out")
