"""The files of a sweep, read back, and what is said when they are not what they should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.analysis.sweeps import Plan, refits

from heldout.analysis.selection import SweepFilesError, read_sweep


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    trials = [
        {"objective": 0.9, "param.model": "cnn", "param.width": 16},
        {"objective": 0.8, "param.model": "mlp"},
        {"status": "failed", "error": "NaN", "param.model": "cnn", "param.width": 32},
    ]
    return Plan(trials, [(0, 1, 0.5, 0.7)], refits({0: [0.88, 0.87], 1: [0.81, None]})).write(tmp_path / "sweep")


def test_a_sweep_is_read_back(folder: Path) -> None:
    sweep = read_sweep(folder)
    assert (sweep.metric, sweep.mode, sweep.parameters) == ("accuracy", "max", ["model", "width"])
    assert sweep.trials["objective"].tolist()[:2] == [0.9, 0.8]
    assert [(r.trial, r.seed, r.finished) for r in sweep.refits][2:] == [(1, 1001, True), (1, 1002, False)]
    assert sweep.winner == 0
    assert len(sweep.reports) == 1


def test_the_winner_named_in_the_file_is_taken(folder: Path) -> None:
    edit(folder, lambda info: info.update(winner={"trial": 1}))
    assert read_sweep(folder).winner == 1


def test_the_tables_may_lack_runs_and_records(folder: Path) -> None:
    table = pq.read_table(folder / "trials.parquet").drop_columns(["run_id", "record"])
    pq.write_table(table, folder / "trials.parquet")
    assert read_sweep(folder).trials["record"].isna().all()


@pytest.mark.parametrize("name", ["sweep.json", "trials.parquet", "reports.parquet"])
def test_a_file_that_is_missing_or_damaged_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x00 not this")
    with pytest.raises(SweepFilesError, match=name):
        read_sweep(folder)
    (folder / name).unlink()
    with pytest.raises(SweepFilesError, match=name):
        read_sweep(folder)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "sweep.json"
    info = json.loads(file.read_text())
    change(info)
    file.write_text(json.dumps(info))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda info: info.update(format=2), "has format 2; this version reads format 1"),
        (lambda info: info.pop("refits"), "lacks the field 'refits'"),
        (lambda info: info.update(searcher=3), "field 'searcher' is 3; expected str"),
        (lambda info: info.update(fits="two"), "field 'fits' is 'two'; expected int"),
        (lambda info: info["objective"].update(mode="best"), "a mode of max or min"),
        (lambda info: info["refits"][0].pop("seed"), "lacks the field 'seed'"),
        (
            lambda info: info["refits"][0].update(objective="high"),
            "is 'high'; expected int or float or null",
        ),
        (lambda info: info["refits"][0].update(seed=1002), "trial 0 was refitted twice on seed 1002"),
        (lambda info: info["refits"][0].update(trial=8), "a refit is of trial 8, which trials.parquet does not have"),
        (lambda info: info.update(winner={"trial": 8}), "field 'winner' is {'trial': 8}"),
        (lambda info: info.update(winner=8), "field 'winner' is 8; expected dict or null"),
    ],
)
def test_a_wrong_summary_is_told(folder: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    edit(folder, change)
    with pytest.raises(SweepFilesError) as caught:
        read_sweep(folder)
    assert message in str(caught.value)
    assert "sweep.json" in str(caught.value)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("status", pa.array(["finished", "running", "failed"]), "has the status 'running'; expected one of finished"),
        ("trial", pa.array([0, 1, 1]), "has trial 1 twice"),
        ("objective", pa.array(["a", "b", "c"]), "column 'objective' is of type string; expected number"),
        ("epochs", None, "lacks the column 'epochs'"),
    ],
)
def test_a_wrong_table_is_told(folder: Path, column: str, values: pa.Array | None, message: str) -> None:
    table = pq.read_table(folder / "trials.parquet").drop_columns([column])
    pq.write_table(table if values is None else table.append_column(column, values), folder / "trials.parquet")
    with pytest.raises(SweepFilesError) as caught:
        read_sweep(folder)
    assert message in str(caught.value)
