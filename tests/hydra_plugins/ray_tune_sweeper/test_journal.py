"""What is written down survives, and nothing else counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydra_plugins.ray_tune_sweeper._errors import JournalDamaged
from hydra_plugins.ray_tune_sweeper._journal import Journal, Status, Trial


def _filled(path: Path) -> list[Trial]:
    journal = Journal(path)
    journal.draw({"x": 0.1, "kind": "a"})
    journal.start(0)
    journal.report(0, 1, 0.5)
    journal.keep_checkpoint(0, "somewhere")
    journal.change(0, 1, {"x": 0.2, "kind": "a"})
    journal.report(0, 2, 0.25)
    journal.draw({"x": 0.3, "kind": "b"})
    journal.start(1)
    journal.end(0, Status.finished)
    journal.end(1, Status.failed, "it raised")
    journal.draw({"x": 0.4, "kind": "b"})
    journal.start(2)
    journal.close()
    return journal.trials


def _read(path: Path) -> Journal:
    journal = Journal(path)
    journal.close()
    return journal


def _known(trial: Trial) -> tuple[object, ...]:
    steps = [(report.step, report.objective) for report in trial.reports]
    return (trial.job, trial.params, trial.status, steps, trial.error, trial.checkpoint, trial.changes)


def test_all_is_read_again(tmp_path: Path) -> None:
    before = _filled(tmp_path / "journal")
    after = _read(tmp_path / "journal").trials
    assert [_known(trial) for trial in after[:2]] == [_known(trial) for trial in before[:2]]
    assert after[0].changes == [(1, {"x": 0.2, "kind": "a"})]
    assert after[0].reports[1].seconds == pytest.approx(before[0].reports[1].seconds, abs=0.01)


def test_what_ran_waits(tmp_path: Path) -> None:
    _filled(tmp_path / "journal")
    assert _read(tmp_path / "journal").trials[2].status is Status.waiting


def test_cut_off_anywhere_it_goes_on(tmp_path: Path) -> None:
    _filled(tmp_path / "journal")
    whole = (tmp_path / "journal").read_bytes()
    for length in range(len(whole)):
        path = tmp_path / "cut"
        path.write_bytes(whole[:length])
        journal = Journal(path)
        complete = whole[:length].count(b"\n")
        drawn = [line for line in whole.splitlines()[:complete] if b'"drawn"' in line]
        assert len(journal.trials) == len(drawn)
        journal.draw({"x": 1.0})
        journal.close()
        assert [trial.params for trial in _read(path).trials][-1] == {"x": 1.0}
        assert path.read_bytes().startswith(b"".join(whole.splitlines(keepends=True)[:complete]))


def test_damage_within_is_not_taken_for_the_end(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    _filled(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"\0\0\0\n", *lines[4:]]))
    before = path.read_bytes()
    with pytest.raises(JournalDamaged, match="line 4 of"):
        Journal(path)
    assert path.read_bytes() == before


def test_a_step_that_comes_again_replaces_what_followed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.draw({"x": 1.0})
    for step, objective in ((1, 0.9), (2, 0.8), (3, 0.7), (2, 0.6)):
        journal.report(0, step, objective)
    journal.close()
    assert [(r.step, r.objective) for r in journal.trials[0].reports] == [(1, 0.9), (2, 0.6)]


def test_seconds_go_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal._seconds_before = 100.0
    journal.draw({"x": 1.0})
    journal.close()
    assert _read(tmp_path / "journal").seconds >= 100.0
