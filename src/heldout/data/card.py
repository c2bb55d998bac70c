"""The card: what a prepared data set is, beside its files as `card.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypedDict

from heldout.data.errors import CardMismatch, CardUnreadable
from heldout.data.hashing import hash_file, hash_json

CARD_FILE = "card.json"
SPLITS = ("train", "validation", "test")


class Column(TypedDict):
    """A column of a table that models read; `kind` is "numeric" or "categorical"."""

    name: str
    kind: str
    # in the order of their codes, which start at 1; empty for numeric columns
    categories: list[str]


class InputSpec(TypedDict):
    """One input of an example: numpy dtype name, and shape without the example axis."""

    dtype: str
    shape: list[int]


@dataclass(frozen=True, kw_only=True)
class Card:
    """Everything that models, analysis and reports may know of a data set without reading it."""

    name: str
    source: str
    # image, series, table or text
    modality: str
    # what is predicted; see heldout.scoring
    task: str = "classification"
    # labels in the order of the class indices; none where a number is predicted
    classes: list[str]
    # examples by split
    counts: dict[str, int]
    # examples by split and class; empty lists without classes
    class_counts: dict[str, list[int]]
    # image: x; series: x, and length where lengths differ; table: numeric and categorical, where it has such columns;
    # text: tokens and length; with translations source, source_length, translation and translation_length
    inputs: dict[str, InputSpec]
    # of train: mean and std by channel (image: on the scale 0..1; series: over valid steps) or by numeric column
    # (missing values left out; with median). std is 1 where all values are equal, so that one may divide by it.
    statistics: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    # table only, in the order of the file: the numeric among them make `numeric`, the categorical `categorical`
    columns: list[Column] = field(default_factory=list)
    # regression only: mean and standard deviation of train's target, by which networks standardise it
    target: dict[str, float] = field(default_factory=dict)
    # text only: the tokenizer as JSON, and the number of its tokens
    tokenizer: str = ""
    vocabulary: int = 0
    # translation only: pairs by split that are in none, because a side has more tokens than a text may have
    too_long: dict[str, int] = field(default_factory=dict)
    config_hash: str = ""
    # of the raw data before any split
    source_hash: str = ""
    # SHA-256 by file name
    files: dict[str, str] = field(default_factory=dict)
    # of the files and of all that gives them meaning; not of names, licence and description
    data_hash: str = ""
    license: str = ""
    citation: str = ""
    description: str = ""

    @property
    def outputs(self) -> int:
        """Units of a network's last layer: one a class, or one for a number."""
        return len(self.classes) or 1

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of `x` without the example axis: [channels, height, width] or [channels, length].

        Raises:
            CardMismatch: the data set is a table, which has no `x`.
        """
        if "x" not in self.inputs:
            raise CardMismatch(f"data set '{self.name}' is a {self.modality}: it has no input 'x' with a shape.")
        return tuple(self.inputs["x"]["shape"])

    @property
    def numeric_columns(self) -> list[Column]:
        """The columns of input `numeric`, in its order."""
        return [column for column in self.columns if column["kind"] == "numeric"]

    @property
    def categorical_columns(self) -> list[Column]:
        """The columns of input `categorical`, in its order."""
        return [column for column in self.columns if column["kind"] == "categorical"]

    def compute_data_hash(self) -> str:
        """The hash that `data_hash` should hold."""
        meaning = ["modality", "task", "classes", "inputs", "statistics", "columns", "tokenizer", "vocabulary", "files"]
        meaning += ["target"] if self.target else []
        return hash_json({name: getattr(self, name) for name in meaning})

    def save(self, directory: Path) -> None:
        """Writes `card.json`; equal cards give equal bytes."""
        text = json.dumps(asdict(self), indent=2, allow_nan=False, ensure_ascii=False)
        (directory / CARD_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Card:
        """Reads `card.json` of a prepared data set.

        Raises:
            CardUnreadable: there is none, it is not JSON, or its fields are not those of a card.
        """
        path = Path(directory) / CARD_FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CardUnreadable(
                f"{path}: there is no such file; expected a prepared data set. Run the prepare stage first."
            ) from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise CardUnreadable(
                f"{path} is not valid JSON ({error}). Prepare the data again; do not edit the card."
            ) from None
        problem = _problem(content, {item.name for item in fields(cls)})
        if problem:
            raise CardUnreadable(f"{path}: {problem}. Prepare the data again; do not edit the card.")
        return cls(**content)

    def verify(self, directory: Path) -> None:
        """Checks that the files are there and have the hashes the card states.

        Raises:
            CardMismatch: a file is absent or was changed, or the card itself was.
        """
        for name, expected in self.files.items():
            path = Path(directory) / name
            if not path.is_file():
                raise CardMismatch(f"{path}: the card lists this file, but it is absent. Prepare the data again.")
            found = hash_file(path)
            if found != expected:
                raise CardMismatch(
                    f"{path} has SHA-256 {found[:12]}..., but the card states {expected[:12]}...: the file or the "
                    "card was changed or damaged. Prepare the data again."
                )
        if self.compute_data_hash() != self.data_hash:
            raise CardMismatch(
                f"{Path(directory) / CARD_FILE}: data_hash does not follow from the other fields: the card was "
                "changed after it was written. Prepare the data again."
            )


def _problem(content: Any, known: set[str]) -> str | None:
    """Why this is not the content of a card, or None."""
    if not isinstance(content, dict):
        return f"expected an object, got {type(content).__name__}"
    if content.keys() != known:
        missing, extra = sorted(known - content.keys()), sorted(content.keys() - known)
        return f"the fields are not those of a card; missing: {missing or 'none'}, unknown: {extra or 'none'}"
    for name in ("counts", "class_counts"):
        if not isinstance(content[name], dict) or set(content[name]) != set(SPLITS):
            return f"'{name}' needs exactly the keys {', '.join(SPLITS)}"
    inputs = content["inputs"]
    well_formed = isinstance(inputs, dict) and all(
        isinstance(spec, dict) and spec.keys() == {"dtype", "shape"} for spec in inputs.values()
    )
    return None if well_formed else "'inputs' needs an object with dtype and shape for each input"
