"""Lineage: what a run was made from, and `verify`, which says what differs now."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import heldout
from heldout.data.card import Card
from heldout.data.hashing import hash_file
from heldout.tracking import Tracking, lineage
from heldout.tracking.errors import UnknownRun
from heldout.tracking.lineage import Lineage, code_hash, collect, config_hash, dvc_hash, git_state, verify

CONFIG = {"model": {"family": "cnn", "width": 3}, "seeds": [0, 1], "rate": 0.001}


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init")
    (folder / "file.txt").write_text("1")
    git(folder, "add", "file.txt")
    git(folder, "commit", "-m", "one")
    return folder


def test_a_commit_is_dirty_only_by_tracked_files(repository: Path) -> None:
    state = git_state.__wrapped__
    commit, dirty = state(repository)
    assert commit is not None
    assert len(commit) == 40
    assert dirty is False
    (repository / "untracked.txt").write_text("1")
    assert state(repository) == (commit, False)
    (repository / "file.txt").write_text("2")
    assert state(repository) == (commit, True)


def test_a_container_without_repository_names_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("HELDOUT_GIT_COMMIT", "f00d")
    assert git_state.__wrapped__(tmp_path) == ("f00d", None)
    monkeypatch.setattr(lineage.shutil, "which", lambda name: None)  # and without git
    assert git_state.__wrapped__(tmp_path) == ("f00d", None)


def test_the_code_hash_is_over_names_and_contents_of_the_source() -> None:
    package = Path(heldout.__file__).parent
    digest = hashlib.sha256()
    for name in sorted(path.relative_to(package).as_posix() for path in package.rglob("*.py")):
        digest.update(f"{name} {hashlib.sha256((package / name).read_bytes()).hexdigest()}\n".encode())
    assert code_hash() == digest.hexdigest()


def test_the_config_hash_knows_contents_but_no_order() -> None:
    turned = dict(reversed(CONFIG.items()))
    assert config_hash(turned) == config_hash(CONFIG)
    assert config_hash({**CONFIG, "rate": 0.002}) != config_hash(CONFIG)
    assert config_hash({**CONFIG, "seeds": [1, 0]}) != config_hash(CONFIG)
    assert config_hash(yaml.safe_load(yaml.safe_dump(CONFIG))) == config_hash(CONFIG)


def test_dvc_says_what_it_knows_of_a_folder(tmp_path: Path) -> None:
    stages = {"prepare": {"cmd": "x", "outs": [{"path": "data/digits", "hash": "md5", "md5": "abc.dir"}]}}
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    assert dvc_hash(Path("data/digits")) == "abc.dir"
    assert dvc_hash(tmp_path / "data" / "digits") == "abc.dir"
    assert dvc_hash(Path("data/other")) is None
    (tmp_path / "dvc.lock").write_text("")
    assert dvc_hash(Path("data/digits")) is None
    (tmp_path / "dvc.lock").unlink()
    assert dvc_hash(Path("data/digits")) is None


def test_lineage_is_complete_and_fits_into_tags(tmp_path: Path) -> None:
    made = collect(CONFIG, tmp_path / "data" / "toy", "0" * 64, seed=3)
    assert made.data_path == "data/toy"
    assert made.seed == 3
    assert {"torch", "mlflow", "numpy", "pytorch-lightning"} <= made.packages.keys()
    assert made.hardware["cores"] >= 1
    assert made.hardware["memory_gb"] > 0
    assert made.hardware["cpu"]
    tags = made.tags()
    assert tags["seed"] == "3"
    assert tags["hash.config"] == config_hash(CONFIG)
    assert tags["hash.code"] == code_hash()
    assert "data.dvc_md5" not in tags
    assert all(isinstance(value, str) for value in tags.values())
    assert json.loads(json.dumps(made.to_dict())) == made.to_dict()
    assert collect(CONFIG, Path("/elsewhere"), "0" * 64, seed=3).data_path == "/elsewhere"


def prepared(folder: Path, content: str = "rows") -> Card:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.arrow").write_text(content)
    fields: dict[str, Any] = {
        "name": "toy",
        "source": "toy",
        "modality": "image",
        "classes": ["a", "b"],
        "counts": dict.fromkeys(("train", "validation", "test"), 2),
        "class_counts": {split: [1, 1] for split in ("train", "validation", "test")},
        "inputs": {"x": {"dtype": "uint8", "shape": [1, 2, 2]}},
        "files": {"train.arrow": hash_file(folder / "train.arrow")},
    }
    card = Card(**fields)
    card = Card(**{**fields, "data_hash": card.compute_data_hash()})
    card.save(folder)
    return card


@pytest.fixture
def made(tmp_path: Path) -> Lineage:
    card = prepared(tmp_path / "data")
    return collect(CONFIG, tmp_path / "data", card.data_hash, seed=0)


@pytest.fixture
def record(tmp_path: Path, made: Lineage) -> Path:
    """A record of a run, with its config and model."""
    folder = tmp_path / "record"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    (folder / "weights.safetensors").write_bytes(b"weights")
    hashes = {
        "config": made.config_hash,
        "data": made.data_hash,
        "code": made.code_hash,
        "model": hash_file(folder / "weights.safetensors"),
    }
    info = {
        "format": 1,
        "name": "toy-cnn",
        "data": "toy",
        "family": "cnn",
        "kind": "deep",
        "seed": 0,
        "status": "finished",
        "classes": ["a", "b"],
        "hashes": hashes,
        "lineage": made.to_dict(),
    }
    (folder / "record.json").write_text(json.dumps(info))
    return folder


def test_a_record_as_it_was_left_differs_in_nothing(record: Path) -> None:
    assert verify(record) == []
    assert verify(str(record)) == []


def test_a_changed_config_is_found(record: Path) -> None:
    (record / "config.yaml").write_text(yaml.safe_dump({**CONFIG, "rate": 1.0}))
    assert [difference.what for difference in verify(record)] == ["config"]


def test_a_changed_model_is_found(record: Path) -> None:
    (record / "weights.safetensors").write_bytes(b"other")
    (difference,) = verify(record)
    assert difference.what == "model"
    assert str(difference).startswith(f"model: the run has {difference.recorded[:12]}, found ")


def test_a_missing_model_is_found(record: Path) -> None:
    (record / "weights.safetensors").unlink()
    (difference,) = verify(record)
    assert (difference.what, difference.found) == ("model", None)


def test_other_data_are_found(record: Path, tmp_path: Path) -> None:
    prepared(tmp_path / "data", "other rows")
    (difference,) = verify(record)
    assert difference.what == "data"
    assert "prepared anew" in difference.remark


def test_damaged_data_are_found(record: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "train.arrow").write_text("damaged")
    (difference,) = verify(record)
    assert (difference.what, difference.found) == ("data", None)
    assert "train.arrow" in difference.remark


def test_other_code_is_found(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "code_hash", lambda: "0" * 64)
    assert [difference.what for difference in verify(record)] == ["code"]


def test_a_folder_that_is_no_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownRun, match=r"record\.json"):
        verify(tmp_path)


@pytest.fixture
def logged(tracking: Tracking, made: Lineage, record: Path) -> str:
    """The same run in MLflow."""
    with tracking.start_run("run", tags=made.tags()) as run:
        run.log_artifact(record / "config.yaml")
        run.set_tags({"hash.model": hash_file(record / "weights.safetensors")})
        run.log_artifact(record / "weights.safetensors")
    return run.run_id


def test_a_run_of_the_store_is_compared_by_its_id(
    logged: str, tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    (difference,) = verify(logged, uri=tracking.uri)
    # its weights are no model that was logged as such
    assert difference.what == "model"
    monkeypatch.setattr(lineage, "code_hash", lambda: "0" * 64)
    assert [difference.what for difference in verify(logged, uri=tracking.uri)] == ["code", "model"]


def test_an_unknown_run_is_refused(tracking: Tracking) -> None:
    with pytest.raises(UnknownRun, match="expected either"):
        verify("0123456789abcdef", uri=tracking.uri)
