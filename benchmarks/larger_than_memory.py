"""Fits on data sets that are larger than the memory a process may have.

    python benchmarks/larger_than_memory.py --megabytes 4096 --limit 2048

Images and a table of so many megabytes are made; the images are prepared, and a small network is fitted to each for an
epoch, in processes whose memory is limited by RLIMIT_DATA (all private memory; pages of mapped files are not counted,
as the kernel can drop them). A control under the same limit reads the training split into memory, and must fail. The
table is prepared without the limit, since a csv or parquet file is read whole. Libraries and the stacks of threads take
above 1,024 MB of such memory before the first example is read.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.data import DataConfig, Modality
from heldout.data import scratch
from heldout.data.card import Column
from heldout.data.prepare import prepare
from heldout.data.raw import RawData
from heldout.data.sources import source
from heldout.data.store import read_split

MEGABYTE = 1 << 20
SIDE = 64
COLUMNS = 1000
CLASSES = ["dark", "light"]
# exit code of a process that ran out of memory
NO_MEMORY = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=4096, help="size of a data set")
    parser.add_argument("--limit", type=int, default=2048, help="megabytes of memory that a process may have")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place, limit = Path(folder), arguments.limit
        images = place / "images"
        run("images: prepare", limit, prepare_images, images, arguments.megabytes)
        run("images: control, into memory", limit, into_memory, images, fails=True)
        run("images: fit", limit, fit, images, place)
        table = place / "table"
        run("table: prepare", None, prepare_table, table, arguments.megabytes)
        run("table: control, into memory", limit, into_memory, table, fails=True)
        run("table: fit", limit, fit, table, place)


def run(name: str, limit: int | None, function: Callable[..., None], *arguments: Any, fails: bool = False) -> None:
    """fails: whether the process must end for want of memory."""
    started = time.monotonic()
    process = multiprocessing.get_context("spawn").Process(target=limited, args=(limit, function, *arguments))
    process.start()
    process.join()
    outcome = {0: "done", NO_MEMORY: "no memory"}.get(process.exitcode or 0, f"failed ({process.exitcode})")
    print(f"{name:32s} limit {limit or 'none'}  {outcome}  {time.monotonic() - started:.0f} s", flush=True)
    if process.exitcode != (NO_MEMORY if fails else 0):
        raise SystemExit(f"{name}: expected {'to run out of memory' if fails else 'to end well'}")


def limited(limit: int | None, function: Callable[..., None], *arguments: Any) -> None:
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit * MEGABYTE, limit * MEGABYTE))
    try:
        function(*arguments)
    except MemoryError:
        raise SystemExit(NO_MEMORY) from None


def prepare_images(out: Path, megabytes: int) -> None:
    examples = megabytes * MEGABYTE // (3 * SIDE * SIDE)

    @source("large_images")
    def load(config: DataConfig) -> RawData:
        rng = np.random.default_rng(0)
        x = scratch.empty((examples, 3, SIDE, SIDE), np.uint8)
        target = np.arange(examples) % 2
        step = scratch.block_rows(x)
        for start in range(0, examples, step):
            block = x[start : start + step]
            block[:] = rng.integers(0, 200, block.shape, np.uint8) + (
                40 * target[start : start + step, None, None, None]
            )
        return raw({"x": x}, target)

    prepare(DataConfig(name="large", source="large_images", modality=Modality.image), out)
    told(out)


def prepare_table(out: Path, megabytes: int) -> None:
    rows = megabytes * MEGABYTE // (4 * COLUMNS)

    @source("large_table")
    def load(config: DataConfig) -> RawData:
        target = np.arange(rows) % 2
        numeric = np.random.default_rng(0).standard_normal((rows, COLUMNS), np.float32)
        numeric[:, 0] += target
        columns = [Column(name=f"column {i}", kind="numeric", categories=[]) for i in range(COLUMNS)]
        return replace(raw({"numeric": numeric}, target), columns=columns)

    prepare(DataConfig(name="large", source="large_table", modality=Modality.table), out)
    told(out)


def raw(inputs: dict[str, np.ndarray], target: np.ndarray) -> RawData:
    ids = np.array([f"e{row}" for row in range(len(target))])
    return RawData(ids=ids, inputs=inputs, target=np.array(CLASSES)[target], classes=CLASSES)


def told(out: Path) -> None:
    print(f"  train.arrow: {(out / 'train.arrow').stat().st_size / MEGABYTE:.0f} MB", flush=True)


def into_memory(prepared: Path) -> None:
    split = read_split(prepared, "train")
    _ = [np.array(values) for values in split.inputs.values()]


def fit(prepared: Path, place: Path) -> None:
    from heldout.data.card import Card
    from heldout.training.deep import fit_deep
    from heldout.training.inputs import fit_inputs
    from heldout.training.prepared import Prepared

    with hydra_session():
        config = to_stage(compose_stage("train", ["model=mlp", "model.hidden=[16]", "trainer.max_epochs=1",
                                                  "trainer.train_subset=2000"]))  # fmt: skip
    data = fit_inputs(config, Prepared(prepared, Card.load(prepared)), None, 0)
    folder = place / f"fit-{prepared.name}"
    folder.mkdir()
    fitted = fit_deep(config, data, 0, folder, lambda metrics, epoch: None, prepared.name)
    print(f"  validation accuracy {fitted.history[-1]['accuracy']:.3f}, fit {fitted.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
