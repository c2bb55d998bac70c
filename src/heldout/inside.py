"""What a record holds of the inside of a network: its layers, what it costs, and looks at it while it was trained.

`layers.json` and `inside.parquet` beside the other files of a record; docs/reference/record.md describes them. Both are
optional: baselines have neither, nor have the trials of a sweep.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from heldout.record import RecordError, read_rows, write_rows, write_text

LAYERS_FILE = "layers.json"
INSIDE_FILE = "inside.parquet"
# of a layer at a look
QUANTITIES = ("activation", "gradient", "weight", "update", "dead")
COLUMNS = {"epoch": "int32", "layer": "string", **dict.fromkeys(QUANTITIES, "float64")}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Layer:
    """One layer, in the order in which layers are called.

    output_shape: without the example axis; None where it was never called. parameters: its own, of which so many are
    trainable. flops: of one example, a multiplication and an addition counted as two.
    """

    name: str
    type: str
    output_shape: list[int] | None
    parameters: int
    trainable: int
    flops: int


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    flops: of the forward pass of one example. peak_memory: bytes at the peak of the fit, of tensors on a GPU, of the
    whole process elsewhere; memory_at_start: the same before its first step. The rates are in examples a second;
    training without what is measured after each epoch.
    """

    parameters: int
    trainable: int
    flops: int
    device: str
    peak_memory: int
    memory_at_start: int
    train_examples_per_second: float
    predict_examples_per_second: float


@dataclass(frozen=True)
class Looks:
    """Layers at the ends of some epochs: quantity, then layer, to a value an epoch; None where it has no meaning."""

    epoch: list[int]
    values: dict[str, dict[str, list[float | None]]]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Looks:
        """Rows of `inside.parquet` by quantity and layer."""
        epochs = sorted({int(row["epoch"]) for row in rows})
        cells = {(row["layer"], int(row["epoch"])): row for row in rows}
        layers = list(dict.fromkeys(str(row["layer"]) for row in rows))
        values = {
            quantity: {
                layer: [_rounded(cells.get((layer, epoch), {}).get(quantity)) for epoch in epochs] for layer in layers
            }
            for quantity in QUANTITIES
        }
        return cls(epochs, values)

    def has(self, quantity: str) -> bool:
        """Whether any layer has it."""
        return any(value is not None for of in self.values.get(quantity, {}).values() for value in of)


@dataclass(frozen=True)
class Inside:
    """All of it."""

    layers: list[Layer]
    cost: Cost
    looks: Looks


def write_inside(folder: Path, layers: Sequence[Layer], cost: Cost, rows: Sequence[Row]) -> None:
    """Writes `layers.json`, and `inside.parquet` where there are rows."""
    content = {**asdict(cost), "layers": [asdict(layer) for layer in layers]}
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_text(folder / LAYERS_FILE, text)
    if rows:
        write_rows(folder / INSIDE_FILE, rows, COLUMNS)


def read_inside(folder: Path) -> Inside | None:
    """What the record in `folder` holds; None where it holds nothing of the kind.

    Raises:
        RecordError: a file is there, but is not what `write_inside` writes.
    """
    file = folder / LAYERS_FILE
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        layers = [Layer(**layer) for layer in content["layers"]]
        cost = Cost(**{field.name: content[field.name] for field in fields(Cost)})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RecordError(f"{file} is not the summary of a network ({error!r}). Run the training again.") from error
    rows: list[Row] = []
    if (folder / INSIDE_FILE).is_file():
        rows = list(read_rows(folder / INSIDE_FILE, list(COLUMNS)))
    return Inside(layers, cost, Looks.of(rows))


def _rounded(value: float | None) -> float | None:
    # a figure shows no more
    return None if value is None else float(f"{value:.4g}")
