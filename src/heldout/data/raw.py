"""What a source hands over: all examples in memory, not split yet."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from heldout.data import scratch
from heldout.data.card import Column
from heldout.data.errors import DataError, DuplicateIds, NotFinite, TargetUnusable, shown
from heldout.data.hashing import hash_arrays, hash_json
from heldout.scoring import CLASSIFICATION, GENERATION, LANGUAGE, MEASURED, RECOMMENDATION, REGRESSION, TRANSLATION


@dataclass(frozen=True, kw_only=True, eq=False)
class RawData:
    """All examples of a source.

    `inputs` by modality, first axis examples:
        image   x uint8 [n, channels, height, width]
        series  x float32 [n, channels, length]; length int32 [n] where lengths differ: the valid steps, the rest is 0
        table   numeric float32 [n, numeric columns], NaN for missing; categorical int32 [n, categorical columns],
                0 for missing, else 1 + index into the categories of the column
        text    none yet: the tokens int32 [n, tokens] and their length int32 [n] come of `texts` when train is known;
                texts to be continued become blocks, whose target is how many tokens are predicted;
                texts with `translations` become source and translation, see heldout.data.pairs
    """

    # unique and stable from one reading to the next, [n]
    ids: np.ndarray
    inputs: dict[str, np.ndarray]
    # a label of `classes` for each example, or float64 numbers to predict, [n]
    target: np.ndarray
    # in the order of the class indices; empty where numbers are predicted
    classes: list[str]
    # text only, [n] of object
    texts: np.ndarray | None = None
    # of each text the same in another language, [n] of object; no pair occurs twice
    translations: np.ndarray | None = None
    # name of the split of each example where the source brings a split, [n]
    split: np.ndarray | None = None
    # text or numbers by which a grouped split keeps examples together, [n]
    group: np.ndarray | None = None
    # numbers that grow with time, [n]
    time: np.ndarray | None = None
    # recordings only: whether samples in a row stay at full scale, [n]; for `validate`, no model sees it
    clipped: np.ndarray | None = None
    # table only
    columns: list[Column] = field(default_factory=list)
    # numbers are ratings, which the first categorical column's users gave to the second one's items
    ratings: bool = False
    # texts are to be continued; no text occurs twice
    continued: bool = False
    # there is nothing to predict: images like these are to be drawn
    drawn: bool = False
    # text only, once train is known
    tokenizer: str = ""
    vocabulary: int = 0
    # SHA-256 of the file read, for sources that read one of the user's
    file_hash: str = ""
    license: str = ""
    citation: str = ""
    description: str = ""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def task(self) -> str:
        """What is predicted: a class, a number, a rating, the next token, a translation; or images are drawn."""
        if self.classes:
            return CLASSIFICATION
        if self.drawn:
            return GENERATION
        if self.continued:
            return LANGUAGE
        if self.is_translated:
            return TRANSLATION
        return RECOMMENDATION if self.ratings else REGRESSION

    @property
    def is_translated(self) -> bool:
        """Whether the texts have translations, or had them before they became tokens."""
        return self.translations is not None or "translation" in self.inputs

    def check(self) -> None:
        """What no data set may have, whatever its source.

        Raises:
            DataError: no examples, or arrays of different lengths.
            DuplicateIds, TargetUnusable, NotFinite: see there.
        """
        if len(self) == 0:
            raise DataError("the source holds no examples; expected some for each class and split.")
        lengths = {name: len(array) for name, array in {**self.inputs, "target": self.target}.items()}
        if set(lengths.values()) != {len(self)}:
            raise DataError(f"{len(self)} ids, but arrays of lengths {lengths}; expected the same length for all.")
        self._check_ids()
        self._check_target()
        for name, array in self.inputs.items():
            if array.dtype.kind == "f" and np.isinf(array).any():
                first = self.ids[int(np.argwhere(np.isinf(array))[0][0])]
                raise NotFinite(
                    f"input '{name}' of example '{first}' holds an infinite value; expected finite numbers, or NaN "
                    "where a value is missing."
                )

    def _check_ids(self) -> None:
        repeated = [id_ for id_, count in Counter(self.ids.tolist()).items() if count > 1]
        if repeated:
            raise DuplicateIds(
                f"{len(repeated)} ids occur more than once: {shown(repeated)}; expected a different id for each "
                "example. Remove the repeated rows or name another id column."
            )

    def _check_target(self) -> None:
        if not self.classes:
            if self.task in MEASURED:
                self._check_numbers()
            return
        present = set(self.target.tolist())
        if unknown := sorted(present - set(self.classes)):
            raise TargetUnusable(f"targets {shown(unknown)} are not among the classes {shown(self.classes)}.")
        if len(present) < 2:
            raise TargetUnusable(
                f"all {len(self)} examples have the class '{next(iter(present))}'; classification needs at least two "
                "classes. Is the target the right column?"
            )

    def _check_numbers(self) -> None:
        unusable = np.flatnonzero(~np.isfinite(self.target))
        if len(unusable):
            first = unusable[0]
            raise TargetUnusable(
                f"the target of {len(unusable)} examples is no finite number, first {self.target[first]} of "
                f"'{self.ids[first]}'; expected a number for every example. Remove these examples or mend their target."
            )
        if self.target.min() == self.target.max():
            raise TargetUnusable(
                f"all {len(self)} examples have the target {self.target[0]:g}; there is nothing to predict. Is the "
                "target the right column?"
            )

    def to_be_continued(self) -> RawData:
        """The texts without their classes, each once: the first of those that are the same."""
        assert self.texts is not None
        first: dict[str, int] = {}
        for row, text in enumerate(self.texts.tolist()):
            first.setdefault(text, row)
        kept = self.take(np.array(list(first.values())))
        sizes = np.array([float(len(text.encode())) for text in first])
        return replace(kept, classes=[], target=sizes, continued=True)

    def to_be_drawn(self) -> RawData:
        """The images without their classes."""
        return replace(self, classes=[], target=np.zeros(len(self)), drawn=True)

    def take(self, rows: np.ndarray) -> RawData:
        """The examples at these positions, in this order."""

        def pick(array: np.ndarray | None) -> np.ndarray | None:
            return None if array is None else array[rows]

        return replace(
            self,
            ids=self.ids[rows],
            inputs={name: scratch.take(array, rows) for name, array in self.inputs.items()},
            target=self.target[rows],
            texts=pick(self.texts),
            translations=pick(self.translations),
            split=pick(self.split),
            group=pick(self.group),
            time=pick(self.time),
            clipped=pick(self.clipped),
        )

    def class_indices(self) -> np.ndarray:
        """Target as indices into `classes`, int32 [n]."""
        index = {label: i for i, label in enumerate(self.classes)}
        return np.fromiter((index[label] for label in self.target.tolist()), np.int32, len(self))

    def targets(self) -> np.ndarray:
        """Class indices int32 [n], or numbers float64 [n]: the target as it is stored."""
        return self.class_indices() if self.classes else self.target.astype(np.float64)

    def content_hash(self) -> str:
        """Hash of everything the source says of its examples, and of the file it read."""
        arrays = {f"input {name}": array for name, array in self.inputs.items()}
        optional = {"split": self.split, "group": self.group, "time": self.time, "texts": self.texts}
        optional |= {"translations": self.translations}
        arrays |= {name: array for name, array in optional.items() if array is not None}
        arrays |= {"ids": self.ids, "target": self.target}
        return hash_json([hash_arrays(arrays), self.classes, self.columns, self.file_hash])
