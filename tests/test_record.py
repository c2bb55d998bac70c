"""The record format: what is written comes back, and what is broken is said."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heldout.errors import UserError
from heldout.record import (
    HISTORY_FILE,
    PREDICTIONS_FILE,
    RECORD_FILE,
    Record,
    RecordError,
    append_predictions,
    find_records,
    write_history,
    write_predictions,
    write_record,
)

INFO = {
    "name": "toy-mlp",
    "data": "toy",
    "family": "mlp",
    "kind": "deep",
    "seed": 0,
    "status": "finished",
    "classes": ["a", "b", "c"],
}


def history_rows(epochs: int = 3) -> list[dict]:
    return [
        {"epoch": epoch, "step": 10 * epoch, "split": split, "loss": 1.0 / epoch, "accuracy": 0.5}
        for epoch in range(1, epochs + 1)
        for split in ("train", "validation")
    ]


def prediction_rows(n: int = 5, prefix: str = "row", seed: int = 0) -> tuple[list[str], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(3), size=n).astype(np.float32)
    return [f"{prefix}{i}" for i in range(n)], rng.integers(0, 3, n), probabilities


@pytest.fixture
def record(tmp_path: Path) -> Path:
    directory = tmp_path / "toy-mlp" / "seed=0"
    write_history(directory / HISTORY_FILE, history_rows())
    rows = {"validation": prediction_rows(4, "v"), "train": prediction_rows(6, "t")}
    write_predictions(directory / PREDICTIONS_FILE, rows)
    write_record(directory, INFO)
    return directory


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_was_written_comes_back(record: Path) -> None:
    read = Record.load(record)
    assert read.info == {"format": 1, **INFO}
    assert read.prediction_splits == ("train", "validation")
    ids, target, probabilities = prediction_rows(4, "v")
    validation = read.predictions_of("validation")
    assert validation.ids.tolist() == ids
    np.testing.assert_array_equal(validation.target, target)
    np.testing.assert_array_equal(validation.probabilities, probabilities)
    assert read.history["loss"].tolist() == [1, 1, 1 / 2, 1 / 2, 1 / 3, 1 / 3]


def test_tables_have_the_documented_types(record: Path) -> None:
    history = pq.ParquetFile(record / HISTORY_FILE).schema_arrow
    assert {name: str(history.field(name).type) for name in history.names} == {
        "epoch": "int32",
        "step": "int64",
        "split": "string",
        "loss": "double",
        "accuracy": "double",
        "learning_rate": "double",
        "seconds": "double",
    }
    predictions = pq.ParquetFile(record / PREDICTIONS_FILE).schema_arrow
    assert [str(predictions.field(name).type) for name in ("split", "id", "target")] == [
        "string",
        "string",
        "int32",
    ]
    assert predictions.field("probabilities").type.value_type == pa.float32()


def test_further_keys_of_a_history_row_become_columns(tmp_path: Path) -> None:
    rows = history_rows(1)
    rows[1]["f1"] = 0.25
    write_history(tmp_path / HISTORY_FILE, rows)
    write_record(tmp_path, INFO)
    history = Record.load(tmp_path).history
    assert history["f1"].isna().tolist() == [True, False]


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_history(tmp_path / name / HISTORY_FILE, history_rows())
        write_predictions(tmp_path / name / PREDICTIONS_FILE, {"train": prediction_rows()})
    for file in (HISTORY_FILE, PREDICTIONS_FILE):
        assert digest(tmp_path / "a" / file) == digest(tmp_path / "b" / file)


def test_evaluate_adds_the_test_rows_and_may_repeat_itself(record: Path) -> None:
    file = record / PREDICTIONS_FILE
    append_predictions(file, {"test": prediction_rows(3, "x", seed=1)})
    once = digest(file)
    append_predictions(file, {"test": prediction_rows(3, "x", seed=1)})
    assert digest(file) == once
    read = Record.load(record)
    assert read.prediction_splits == ("train", "validation", "test")
    assert read.predictions["split"].value_counts().to_dict() == {"train": 6, "validation": 4, "test": 3}


def test_find_records_sees_nested_ones_and_passes_over_hidden_folders(tmp_path: Path) -> None:
    for name in ("b/seed=1", "b/seed=0", "a", ".partial"):
        write_record(tmp_path / name, INFO)
    found = [path.relative_to(tmp_path).as_posix() for path in find_records(tmp_path)]
    assert found == ["a", "b/seed=0", "b/seed=1"]


def test_find_records_follows_a_linked_folder(tmp_path: Path) -> None:
    write_record(tmp_path / "elsewhere" / "run", INFO)
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert find_records(tmp_path / "records") == [tmp_path / "records" / "linked" / "run"]


def test_a_failed_run_has_no_history(tmp_path: Path) -> None:
    write_record(tmp_path, {**INFO, "status": "failed", "error": "the loss is NaN at step 3"})
    read = Record.load(tmp_path)
    assert read.history.empty
    assert "loss" in read.history
    assert read.prediction_splits == ()


@pytest.mark.parametrize("field", ["name", "data", "family", "kind", "seed", "status", "classes"])
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    with pytest.raises(RecordError, match=f"lacks the field '{field}'"):
        write_record(tmp_path, {key: value for key, value in INFO.items() if key != field})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "record format 2; this version reads format 1"),
        ({"seed": "0"}, "field 'seed' is '0'; expected int"),
        ({"seed": True}, "field 'seed' is True; expected int"),
        ({"status": "done"}, "expected one of finished, failed, killed"),
        ({"kind": "shallow"}, "expected one of deep, baseline"),
    ],
)
def test_a_wrong_field_says_what_was_expected(tmp_path: Path, change: dict, message: str) -> None:
    (tmp_path / RECORD_FILE).write_text(json.dumps({"format": 1, **INFO, **change}))
    with pytest.raises(RecordError, match=message):
        Record.load(tmp_path)


@pytest.mark.parametrize(("text", "message"), [("{", "cannot be read"), ("[]", "expected a JSON object")])
def test_a_corrupt_record_file_is_a_user_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / RECORD_FILE).write_text(text)
    with pytest.raises(UserError, match=message):
        Record.load(tmp_path)


def test_missing_folders_and_files_are_user_errors(record: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="Train something first"):
        find_records(tmp_path / "nowhere")
    with pytest.raises(RecordError, match=r"no record\.json"):
        Record.load(tmp_path / "nowhere")
    (record / HISTORY_FILE).unlink()
    with pytest.raises(RecordError, match=r"history\.parquet is missing"):
        _ = Record.load(record).history
    with pytest.raises(RecordError, match="no rows of split 'test'; it has train, validation"):
        Record.load(record).predictions_of("test")


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_a_truncated_table_is_a_user_error(record: Path, cut: int) -> None:
    for file in (HISTORY_FILE, PREDICTIONS_FILE):
        (record / file).write_bytes((record / file).read_bytes()[:cut])
    read = Record.load(record)
    with pytest.raises(RecordError, match="no readable Parquet file"):
        _ = read.history
    with pytest.raises(RecordError, match="no readable Parquet file"):
        read.predictions_of("train")


def test_a_table_without_a_column_is_a_user_error(record: Path) -> None:
    pq.write_table(pa.table({"epoch": [1], "loss": [0.5]}), record / HISTORY_FILE)
    with pytest.raises(RecordError, match="lacks the column step, split"):
        _ = Record.load(record).history


@pytest.mark.parametrize(
    ("ids", "target", "probabilities", "message"),
    [
        (["a", "a"], [0, 1], np.full((2, 3), 1 / 3), "ids are not unique"),
        (["a", "b"], [0, 3], np.full((2, 3), 1 / 3), "targets run from 0 to 3; expected 0 to 2"),
        (["a", "b"], [0, 1], np.full((2, 3), np.nan), "within 0 and 1, without NaN"),
        (["a", "b"], [0, 1], np.full((2, 3), 1.5), "within 0 and 1, without NaN"),
        (["a"], [0, 1], np.full((2, 3), 1 / 3), "1 ids, 2 targets"),
        (["a", "b"], [0, 1], np.zeros(2), r"expected n, n and \[n, classes\]"),
    ],
)
def test_predictions_that_cannot_be_are_refused(
    tmp_path: Path, ids: list[str], target: list[int], probabilities: np.ndarray, message: str
) -> None:
    with pytest.raises(RecordError, match=message):
        write_predictions(tmp_path / PREDICTIONS_FILE, {"train": (ids, np.array(target), probabilities)})
    assert not list(tmp_path.iterdir())


def test_probabilities_must_match_the_classes_of_the_record(record: Path) -> None:
    write_record(record, {**INFO, "classes": ["a", "b"]})
    with pytest.raises(RecordError, match=r"each row needs 2 probabilities, one a class; found lengths \[3\]"):
        Record.load(record).predictions_of("train")


def test_a_history_row_needs_epoch_and_split(tmp_path: Path) -> None:
    for row in ({"split": "train"}, {"epoch": 1, "split": "test"}):
        with pytest.raises(RecordError, match="needs an int epoch and a split of train or validation"):
            write_history(tmp_path / HISTORY_FILE, [row])


def test_a_value_that_is_no_json_is_refused_and_the_old_file_stays(record: Path) -> None:
    before = (record / RECORD_FILE).read_bytes()
    for value in (float("nan"), object()):
        with pytest.raises(RecordError, match="cannot be written as JSON"):
            write_record(record, {**INFO, "fit_seconds": value})
    assert (record / RECORD_FILE).read_bytes() == before
    assert {path.name for path in record.iterdir()} == {HISTORY_FILE, PREDICTIONS_FILE, RECORD_FILE}


def test_the_program_in_the_docs_writes_a_record_that_can_be_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from heldout.analysis import compare
    from heldout.config.analysis import AnalysisConfig

    page = Path(__file__).parents[1] / "docs" / "reference" / "record.md"
    program = page.read_text().split("## Writing one")[1].split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    exec(compile(program, str(page), "exec"), {})
    [family] = compare([Record.load(path) for path in find_records("records")], AnalysisConfig()).families
    assert family.label == "naive_bayes"
    assert 0.7 < family.score["validation"].value < 0.95


def test_importing_the_record_imports_nothing_heavy() -> None:
    program = "import sys, heldout.record; print(*{'numpy', 'pandas', 'pyarrow', 'torch'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
