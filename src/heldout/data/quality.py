"""The validate stage: prepared data against the quality policy."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from heldout.config.data import Check, Level, QualityConfig
from heldout.data.card import SPLITS, Card
from heldout.data.contents import is_empty, valid_tokens
from heldout.data.errors import DataError, shown
from heldout.data.pairs import has_equal_sides, side_sizes
from heldout.data.similarity import Features, Inputs, fingerprints, nearest_similarity
from heldout.data.statistics import valid_steps
from heldout.data.store import Split, clipped_ids, read_split
from heldout.data.test_split import inputs_for_duplicate_check
from heldout.data.tokens import UNKNOWN, load_tokenizer, without_content
from heldout.scoring import LANGUAGE, TRANSLATION

# near copies are searched for at most so many validation and test examples each, evenly spread
MOST_QUERIES = 5_000
# by which both sides of a pair are counted longer than they are: the lengths of single words differ much
FREE_CHARACTERS = 10


@dataclass(frozen=True)
class Finding:
    """What one check found; it passed if value <= limit."""

    check: str
    # "warn" or "fail": what it means if it did not pass
    level: str
    passed: bool
    value: float
    limit: float
    message: str


@dataclass(frozen=True)
class QualityReport:
    """The findings of all checks that the policy asks for."""

    name: str
    data_hash: str
    findings: list[Finding] = field(default_factory=list)

    @property
    def failed(self) -> list[Finding]:
        """What must be mended before training; empty when the data may be used."""
        return [one for one in self.findings if not one.passed and one.level == Level.fail.value]

    @property
    def warnings(self) -> list[Finding]:
        """What one should know when reading results."""
        return [one for one in self.findings if not one.passed and one.level == Level.warn.value]

    def to_json(self) -> str:
        """The report as JSON text; equal reports give equal text."""
        content = {"name": self.name, "data_hash": self.data_hash, "passed": not self.failed}
        return json.dumps({**content, "findings": [asdict(one) for one in self.findings]}, indent=2, ensure_ascii=False)


@dataclass(frozen=True)
class _Measure:
    value: float
    message: str


_NO_COPIES = _Measure(0, "no pair of a user and an item is rated twice")
_NO_PAIRS = _Measure(0, "no pairs of texts for translation")
_NO_CLASSES = _Measure(0, "no classes to tell apart")


@dataclass(frozen=True)
class _Prepared:
    """What the checks look at; each part is read when the first check needs it."""

    directory: Path
    card: Card

    @cached_property
    def train(self) -> Split:
        return read_split(self.directory, "train")

    @cached_property
    def validation(self) -> Split:
        return read_split(self.directory, "validation")

    @cached_property
    def test(self) -> tuple[np.ndarray, Inputs]:
        return inputs_for_duplicate_check(self.directory)

    @property
    def ids(self) -> dict[str, np.ndarray]:
        return {"train": self.train.ids, "validation": self.validation.ids, "test": self.test[0]}

    @property
    def inputs(self) -> dict[str, Inputs]:
        return {"train": self.train.inputs, "validation": self.validation.inputs, "test": self.test[1]}


def check(directory: Path, policy: QualityConfig) -> QualityReport:
    """Runs every check whose level is not `off`.

    Where files and card do not agree, and the policy lets that fail, the other checks are left out: they would speak of
    other data than the card.

    Raises:
        CardUnreadable: there is no readable card.
        CardMismatch, CorruptFile: the data cannot be read, and the policy does not let `schema` fail.
    """
    card = Card.load(directory)
    data = _Prepared(Path(directory), card)
    findings: list[Finding] = []
    for name, measure in CHECKS.items():
        rule: Check = getattr(policy, name)
        if rule.level is Level.off:
            continue
        found = measure(data, policy)
        passed = found.value <= rule.at_most
        findings.append(Finding(name, rule.level.value, passed, float(found.value), rule.at_most, found.message))
        if name == "schema" and not passed and rule.level is Level.fail:
            break
    return QualityReport(card.name, card.data_hash, findings)


def _schema(data: _Prepared, policy: QualityConfig) -> _Measure:
    problems: list[str] = []
    try:
        data.card.verify(data.directory)
        ids = data.ids
    except DataError as error:
        return _Measure(1, str(error))
    for position, one in enumerate(SPLITS):
        for other in SPLITS[position + 1 :]:
            if len(common := np.intersect1d(ids[one], ids[other])):
                problems.append(f"{one} and {other} share the ids {shown(common)}")
    return _Measure(len(problems), "; ".join(problems) or "files, types, shapes, ids and hashes agree with the card")


def _missing_values(data: _Prepared, policy: QualityConfig) -> _Measure:
    worst, where = 0.0, ""
    for split in ("train", "validation"):
        for name, missing in _missing_by_feature(data.inputs[split], data.card):
            if missing > worst:
                worst, where = missing, f"{name} has no known value in {missing:.1%} of {split}"
    return _Measure(worst, where or "every value is known")


def _missing_by_feature(inputs: Inputs, card: Card) -> list[tuple[str, float]]:
    if "x" in inputs:
        x = inputs["x"]
        if x.dtype.kind != "f":
            return []
        by_channel = np.isnan(x).mean(axis=(0, *range(2, x.ndim)))
        return [(f"channel {channel}", float(share)) for channel, share in enumerate(by_channel)]
    found: list[tuple[str, float]] = []
    if "numeric" in inputs:
        shares = np.isnan(inputs["numeric"]).mean(axis=0)
        found += [(f"column '{c['name']}'", float(s)) for c, s in zip(card.numeric_columns, shares, strict=True)]
    if "categorical" in inputs:
        # 0 also stands for categories that train does not hold: unknown to the model like a missing value
        shares = (inputs["categorical"] == 0).mean(axis=0)
        found += [(f"column '{c['name']}'", float(s)) for c, s in zip(card.categorical_columns, shares, strict=True)]
    return found


def _exact_duplicates(data: _Prepared, policy: QualityConfig) -> _Measure:
    if data.card.modality == "interactions":
        return _NO_COPIES
    prints = {split: fingerprints(inputs) for split, inputs in data.inputs.items()}
    copies: list[str] = []
    for split in ("validation", "test"):
        elsewhere = {one for other in SPLITS if other != split for one in prints[other]}
        copies += [str(i) for i, one in zip(data.ids[split], prints[split], strict=True) if one in elsewhere]
    examples = sum(len(prints[split]) for split in ("validation", "test"))
    return _share_of(copies, examples, "validation and test examples have an exact copy")


def _near_duplicates(data: _Prepared, policy: QualityConfig) -> _Measure:
    if data.card.modality == "interactions":
        return _NO_COPIES
    train = Features.of(data.inputs["train"], data.card)
    copies: list[str] = []
    looked_at = 0
    for split in ("validation", "test"):
        queries = Features.of(data.inputs[split], data.card)
        rows = np.unique(np.linspace(0, len(queries) - 1, min(len(queries), MOST_QUERIES)).astype(int))
        near = nearest_similarity(queries.take(rows), train) >= policy.near_duplicate_similarity
        copies += data.ids[split][rows[near]].tolist()
        looked_at += len(rows)
    told = "validation and test examples have a near copy in train, exact ones included"
    return _share_of(copies, looked_at, told)


def _share_of(found: list[str], examples: int, what: str) -> _Measure:
    """What these examples are a share of, and which they are."""
    told = f": {shown(found)}" if found else ""
    return _Measure(len(found) / max(1, examples), f"{len(found)} of {examples} {what}{told}")


def _unknown_tokens(data: _Prepared, policy: QualityConfig) -> _Measure:
    if data.card.modality != "text":
        return _Measure(0, "no texts")
    if data.card.task == TRANSLATION:
        return _Measure(0, "tokens of bytes write every text")
    inputs = data.inputs["validation"]
    tokens = inputs["tokens"][valid_tokens(inputs)]
    share = float((tokens == _nothing(data.card)[0]).mean())
    return _Measure(share, f"{share:.1%} of the tokens of validation do not occur in train, or too rarely")


def _nothing(card: Card) -> list[int]:
    """The tokens of a text that say nothing, the unknown one first."""
    return without_content(load_tokenizer(card.tokenizer)) if card.tokenizer else [UNKNOWN]


def _cut_texts(data: _Prepared, policy: QualityConfig) -> _Measure:
    if data.card.modality != "text":
        return _Measure(0, "no texts")
    if data.card.task == LANGUAGE:
        return _Measure(0, "texts to be continued are laid end to end, and not cut")
    if data.card.task == TRANSLATION:
        left_out, kept = data.card.too_long["train"], data.card.counts["train"]
        share = left_out / (left_out + kept)
        return _Measure(share, f"{left_out} of {left_out + kept} pairs of train are left out, as a side is too long")
    most = data.card.inputs["tokens"]["shape"][0]
    share = float((data.train.inputs["length"] == most).mean())
    return _Measure(share, f"{share:.1%} of the texts of train fill all {most} tokens, and were likely cut")


def _empty_examples(data: _Prepared, policy: QualityConfig) -> _Measure:
    nothing = _nothing(data.card)
    empty = [str(one) for split in (data.train, data.validation) for one in split.ids[is_empty(split.inputs, nothing)]]
    return _share_of(empty, len(data.train) + len(data.validation), "examples are without content")


def _clipped_recordings(data: _Prepared, policy: QualityConfig) -> _Measure:
    if data.card.source != "audio":
        return _Measure(0, "no recordings of the user's")
    examples = len(data.train) + len(data.validation)
    clipped = [one for split in ("train", "validation") for one in clipped_ids(data.directory, split)]
    return _share_of(clipped, examples, "recordings are clipped: samples in a row stay at full scale")


def _untranslated(data: _Prepared, policy: QualityConfig) -> _Measure:
    if data.card.task != TRANSLATION:
        return _NO_PAIRS
    same = [str(one) for split in (data.train, data.validation) for one in split.ids[has_equal_sides(split.inputs)]]
    return _share_of_pairs(same, data, "have the same text on both sides")


def _unequal_sides(data: _Prepared, policy: QualityConfig) -> _Measure:
    if data.card.task != TRANSLATION:
        return _NO_PAIRS
    odd: list[str] = []
    for split in (data.train, data.validation):
        source, translation = (sizes + FREE_CHARACTERS for sizes in side_sizes(split.inputs, data.card.tokenizer))
        ratio = np.maximum(source / translation, translation / source)
        odd += split.ids[ratio > policy.longest_side].tolist()
    return _share_of_pairs(odd, data, f"have one side more than {policy.longest_side:g} times as long as the other")


def _share_of_pairs(found: list[str], data: _Prepared, what: str) -> _Measure:
    return _share_of(found, len(data.train) + len(data.validation), f"pairs of train and validation {what}")


def _class_imbalance(data: _Prepared, policy: QualityConfig) -> _Measure:
    if not data.card.classes:
        return _NO_CLASSES
    counts = {label: n for label, n in zip(data.card.classes, _train_counts(data), strict=True) if n}
    most, least = max(counts, key=lambda label: counts[label]), min(counts, key=lambda label: counts[label])
    if counts[most] == counts[least]:
        return _Measure(1, f"train holds {counts[most]} examples of each class")
    return _Measure(
        counts[most] / counts[least],
        f"train holds {counts[most]} examples of '{most}' and {counts[least]} of '{least}'",
    )


def _missing_classes(data: _Prepared, policy: QualityConfig) -> _Measure:
    if not data.card.classes:
        return _NO_CLASSES
    # the counts of test come from the card: its target stays sealed
    counts = {
        "train": _train_counts(data),
        "validation": _class_counts(data.validation.target, data.card),
        "test": data.card.class_counts["test"],
    }
    absent = [
        f"'{label}' in {split}"
        for split in SPLITS
        for label, n in zip(data.card.classes, counts[split], strict=True)
        if n == 0
    ]
    return _Measure(len(absent), f"absent: {', '.join(absent)}" if absent else "every split holds every class")


def _label_range(data: _Prepared, policy: QualityConfig) -> _Measure:
    target = np.concatenate([data.train.target, data.validation.target])
    if not data.card.classes:
        count = int((~np.isfinite(target)).sum())
        return _Measure(count, f"{count} targets are no finite number")
    outside = target[(target < 0) | (target >= len(data.card.classes))]
    told = f": {shown(np.unique(outside))}" if len(outside) else ""
    return _Measure(len(outside), f"{len(outside)} targets lie outside 0..{len(data.card.classes) - 1}{told}")


def _unknown_users(data: _Prepared, policy: QualityConfig) -> _Measure:
    if data.card.modality != "interactions":
        return _Measure(0, "no users and items")
    codes = np.concatenate([data.inputs[split]["categorical"] for split in ("validation", "test")])
    users, items = (codes == 0).sum(axis=0)
    share = float((codes == 0).any(axis=1).mean())
    return _Measure(
        share,
        f"of {len(codes)} ratings of validation and test, {users} are by users and {items} of items that train does "
        "not hold",
    )


def _constant_target(data: _Prepared, policy: QualityConfig) -> _Measure:
    if not data.card.target:
        return _Measure(0, "no numbers to predict")
    splits = {"train": data.train.target, "validation": data.validation.target}
    constant = [name for name, target in splits.items() if target.min() == target.max()]
    told = f"all targets are the same in {' and '.join(constant)}"
    return _Measure(len(constant), told if constant else "targets differ in train and in validation")


def _constant_features(data: _Prepared, policy: QualityConfig) -> _Measure:
    inputs = data.train.inputs
    constant: list[str] = []
    features = 0
    for name, array in _features_of(inputs, data.card):
        features += 1
        known = array[~np.isnan(array)] if array.dtype.kind == "f" else array
        if len(known) == 0 or (known == known[0]).all():
            constant.append(name)
    told = f": {shown(constant)}" if constant else ""
    return _Measure(
        len(constant) / max(1, features), f"{len(constant)} of {features} features have one value in train{told}"
    )


def _features_of(inputs: Inputs, card: Card) -> list[tuple[str, np.ndarray]]:
    """Names and values: pixels of images, channels of series over their valid steps, columns of tables."""
    if card.modality == "image":
        x = inputs["x"]
        _, channels, height, width = x.shape
        return [
            (f"channel {c} row {h} column {w}", x[:, c, h, w])
            for c in range(channels)
            for h in range(height)
            for w in range(width)
        ]
    if card.modality == "series":
        valid = valid_steps(inputs)
        return [(f"channel {c}", inputs["x"][:, c][valid]) for c in range(inputs["x"].shape[1])]
    columns = {"numeric": card.numeric_columns, "categorical": card.categorical_columns}
    return [
        (column["name"], inputs[kind][:, position])
        for kind, members in columns.items()
        for position, column in enumerate(members)
    ]


def _too_few_examples(data: _Prepared, policy: QualityConfig) -> _Measure:
    if not data.card.classes:
        return _NO_CLASSES
    wanted = policy.min_examples_per_class
    few = [f"{c} ({n})" for c, n in zip(data.card.classes, _train_counts(data), strict=True) if n < wanted]
    told = f": {shown(few)}" if few else ""
    return _Measure(len(few), f"{len(few)} classes have fewer than {wanted} examples in train{told}")


def _train_counts(data: _Prepared) -> list[int]:
    return _class_counts(data.train.target, data.card)


def _class_counts(target: np.ndarray, card: Card) -> list[int]:
    return [int((target == label).sum()) for label in range(len(card.classes))]


CHECKS: dict[str, Callable[[_Prepared, QualityConfig], _Measure]] = {
    "schema": _schema,
    "missing_values": _missing_values,
    "exact_duplicates": _exact_duplicates,
    "near_duplicates": _near_duplicates,
    "unknown_tokens": _unknown_tokens,
    "cut_texts": _cut_texts,
    "empty_examples": _empty_examples,
    "clipped_recordings": _clipped_recordings,
    "untranslated": _untranslated,
    "unequal_sides": _unequal_sides,
    "class_imbalance": _class_imbalance,
    "missing_classes": _missing_classes,
    "label_range": _label_range,
    "unknown_users": _unknown_users,
    "constant_target": _constant_target,
    "constant_features": _constant_features,
    "too_few_examples": _too_few_examples,
}
