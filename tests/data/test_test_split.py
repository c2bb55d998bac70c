"""The counted way to the test set."""

from __future__ import annotations

import json
import threading
from datetime import datetime

import pytest

from heldout.data.errors import CardMismatch, LedgerUnreadable
from heldout.data.test_split import count_openings, inputs_for_duplicate_check, open_test_split


def test_each_opening_is_counted_by_data_and_run(prepared_table, tmp_path):
    folder, card = prepared_table
    ledger = tmp_path / "new folder" / "ledger.jsonl"
    assert count_openings(ledger, card.data_hash) == 0
    for run in ("a", "a", "b"):
        assert len(open_test_split(folder, ledger, run)) == card.counts["test"]
    assert count_openings(ledger, card.data_hash) == 3
    assert count_openings(ledger, card.data_hash, run="a") == 2
    assert count_openings(ledger, "other data") == 0


def test_the_ledger_says_when_and_what(prepared_table, tmp_path):
    folder, card = prepared_table
    open_test_split(folder, tmp_path / "ledger", "run 1")
    entry = json.loads((tmp_path / "ledger").read_text())
    assert entry.keys() == {"time", "data_hash", "run"}
    assert (entry["data_hash"], entry["run"]) == (card.data_hash, "run 1")
    assert datetime.fromisoformat(entry["time"]).utcoffset() is not None


def test_openings_at_the_same_time_are_all_counted(prepared_table, tmp_path):
    folder, card = prepared_table
    openers = [
        threading.Thread(target=open_test_split, args=(folder, tmp_path / "ledger", f"run {i}")) for i in range(16)
    ]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join()
    assert count_openings(tmp_path / "ledger", card.data_hash) == 16


def test_a_test_file_that_is_not_the_cards_is_neither_opened_nor_counted(prepared_table, tmp_path):
    folder, card = prepared_table
    (folder / "test.arrow").write_bytes((folder / "train.arrow").read_bytes())
    with pytest.raises(CardMismatch, match="not the file"):
        open_test_split(folder, tmp_path / "ledger", "run")
    assert count_openings(tmp_path / "ledger", card.data_hash) == 0


@pytest.mark.parametrize("line", ["{", "[]", '{"run": "a"}', "3"])
def test_a_line_that_is_no_opening_is_named(prepared_table, tmp_path, line):
    folder, card = prepared_table
    open_test_split(folder, tmp_path / "ledger", "run")
    with (tmp_path / "ledger").open("a") as ledger:
        ledger.write(line + "\n")
    with pytest.raises(LedgerUnreadable, match="line 2"):
        count_openings(tmp_path / "ledger", card.data_hash)


def test_the_duplicate_check_gets_no_target(prepared_table):
    folder, card = prepared_table
    ids, inputs = inputs_for_duplicate_check(folder)
    assert len(ids) == card.counts["test"]
    assert inputs.keys() == card.inputs.keys()
