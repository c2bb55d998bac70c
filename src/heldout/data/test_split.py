"""The ways to the test split: the counted one, and a narrow one that cannot give a score."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from heldout.data.card import Card
from heldout.data.errors import CardMismatch, LedgerUnreadable
from heldout.data.hashing import hash_file
from heldout.data.store import Split, file_name, map_split


def open_test_split(directory: Path, ledger: Path, run: str) -> Split:
    """The test split, after the opening was written to the ledger.

    The ledger is a file of JSON lines {time, data_hash, run}; it is only ever appended to, and the line is on disk
    before the data is read, so that no opening goes uncounted.

    Raises:
        CardUnreadable, CardMismatch, CorruptFile: the folder does not hold what `prepare` wrote; nothing is counted
            where the file of the test split is not the one the card describes.
    """
    card = Card.load(directory)
    name = file_name("test")
    path = Path(directory) / name
    if not path.is_file() or hash_file(path) != card.files.get(name):
        raise CardMismatch(f"{path} is not the file that the card beside it describes. Prepare the data again.")
    _append(Path(ledger), {"time": datetime.now(UTC).isoformat(), "data_hash": card.data_hash, "run": run})
    return map_split(directory, "test", card)


def count_openings(ledger: Path, data_hash: str, run: str | None = None) -> int:
    """How often the test split with this data hash was opened, by all runs or by one.

    Raises:
        LedgerUnreadable: a line of the ledger is not an opening.
    """
    if not Path(ledger).exists():
        return 0
    openings = 0
    for number, line in enumerate(Path(ledger).read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            openings += entry["data_hash"] == data_hash and run in (None, entry["run"])
        except (json.JSONDecodeError, KeyError, TypeError):
            raise LedgerUnreadable(
                f"{ledger}, line {number}: expected a JSON object with time, data_hash and run, got {line[:80]!r}. "
                "The ledger counts how often the test set was opened; restore it from a copy."
            ) from None
    return openings


def inputs_for_duplicate_check(directory: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Ids and inputs of the test split, without its target.

    Whether test examples also lie in train can only be seen by looking at them, and must be seen before training.
    This gives no target, so that nothing read here can become a score or steer a choice of model; it is therefore not
    counted as an opening. For `heldout.data.quality` only.
    """
    split = map_split(directory, "test", Card.load(directory))
    return split.ids, split.inputs


def _append(ledger: Path, entry: dict[str, str]) -> None:
    ledger.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        # one write of one line: lines of runs that evaluate at the same time do not mix
        os.write(descriptor, (json.dumps(entry) + "\n").encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
