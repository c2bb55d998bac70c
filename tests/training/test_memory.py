"""What is larger than memory is read batch by batch, and nothing of it stays."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from heldout.config.model import MLPConfig
from heldout.data import scratch
from heldout.data.card import Card, Column
from heldout.data.store import Split, input_specs
from heldout.models import build
from heldout.training.deep import predict

ROWS, COLUMNS, BATCH = 120_000, 1_000, 2_000
MEGABYTE = 1 << 20


def private_memory() -> int:
    """Bytes of private memory of this process; pages of mapped files do not count."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData"))


def measure(grown: multiprocessing.Queue[int]) -> None:
    numeric = scratch.empty((ROWS, COLUMNS), np.float32)
    ids, target = np.arange(ROWS).astype(str), np.zeros(ROWS, np.int64)
    card = Card(
        name="n",
        source="s",
        modality="table",
        classes=["a", "b"],
        counts=dict.fromkeys(("train", "validation", "test"), ROWS),
        class_counts={name: [ROWS, 0] for name in ("train", "validation", "test")},
        inputs=input_specs({"numeric": numeric}),
        statistics={
            "numeric": {name: [value] * COLUMNS for name, value in (("mean", 0.0), ("std", 1.0), ("median", 0.0))}
        },
        columns=[Column(name=f"c{i}", kind="numeric", categories=[]) for i in range(COLUMNS)],
    )
    network = build(MLPConfig(hidden=[16]), card)
    few = Split(ids[:BATCH], {"numeric": numeric[:BATCH]}, target[:BATCH])
    predict(network, few, BATCH, card)
    before = private_memory()
    predict(network, Split(ids, {"numeric": numeric}, target), BATCH, card)
    grown.put(private_memory() - before)


# a process of its own, which imports all anew and reads half a gigabyte
@pytest.mark.slow
def test_predictions_of_many_batches_take_the_memory_of_a_few() -> None:
    context = multiprocessing.get_context("spawn")
    grown = context.Queue()
    process = context.Process(target=measure, args=(grown,))
    process.start()
    process.join()
    assert process.exitcode == 0
    megabytes = grown.get(timeout=10) / MEGABYTE
    # of 458 MB that are read; it was all of them, and the arithmetic between
    assert megabytes < 200
