"""Three-way splits that depend on the seed and on the ids of the examples, not on the order of the rows.

Each example gets a pseudo-random rank from a hash of (seed, id); methods deal by that rank. The same table in
another order therefore gives the same split, and adding a few rows moves few of the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from heldout.config.data import SplitConfig, SplitMethod
from heldout.data.card import SPLITS
from heldout.data.errors import SplitImpossible, shown
from heldout.data.raw import RawData

Rows = dict[str, np.ndarray]

# ways to deal the groups of a grouped split among which the best is taken
GROUP_DEALS = 16
# in no split
LEFT_OUT = ""
# of each class and given split, so that a limited data set can still be split three ways
FEWEST = 3
# by method: what may help where a split lacks a class
REMEDIES = {
    SplitMethod.random: "Use split.method=stratified, other shares, or another split.seed.",
    SplitMethod.stratified: "Use other shares.",
    SplitMethod.grouped: "Use other shares, another split.seed, or split.method=stratified where examples are "
    "independent.",
    SplitMethod.time: "Use other shares, or split.method=stratified where examples are independent.",
    SplitMethod.given: "The data say which split an example is in: add such examples to this one, drop the class, "
    "or choose another split.method.",
}


def split_rows(raw: RawData, config: SplitConfig) -> Rows:
    """Positions in `raw` by split, each in the pseudo-random order of the seed.

    Raises:
        SplitImpossible: a split would be empty or lack a class, a class is too small, the shares leave no train set,
            or the source lacks what the method needs.
    """
    _check_shares(config)
    if config.method is SplitMethod.stratified and not raw.classes:
        raise SplitImpossible(
            "split.method=stratified, but the target is a number, without classes to stratify by; expected random, "
            "grouped, time or given."
        )
    rank = _ranks(raw.ids.tolist(), config.seed)
    method = {
        SplitMethod.random: _random,
        SplitMethod.stratified: _stratified,
        SplitMethod.grouped: _grouped,
        SplitMethod.time: _by_time,
        SplitMethod.given: _given,
    }[config.method]
    names = method(raw, config, rank)
    order = np.argsort(rank)
    rows = {name: order[names[order] == name] for name in SPLITS}
    _check_classes(raw, rows, config)
    return rows


def limit_rows(raw: RawData, limit: int, seed: int) -> np.ndarray:
    """Positions of `limit` examples, as evenly over given splits and classes as whole numbers allow.

    A rare class keeps its first few examples at the cost of the most frequent one. All positions when there are no
    more than `limit`.
    """
    if len(raw) <= limit:
        return np.arange(len(raw))
    given = np.zeros(len(raw)) if raw.split is None else np.unique(raw.split, return_inverse=True)[1]
    rank = _ranks(raw.ids.tolist(), seed)
    label = _classes_or_one(raw)
    order = np.lexsort((rank, label, given))
    # every k-th of the sorted examples: each stratum contributes its share
    chosen = np.zeros(len(raw), dtype=bool)
    chosen[order[np.arange(limit) * len(raw) // limit]] = True
    strata = given * max(1, len(raw.classes)) + label
    for stratum in np.unique(strata):
        members = order[strata[order] == stratum]
        added = [row for row in members[:FEWEST] if not chosen[row]][: max(0, FEWEST - int(chosen[members].sum()))]
        counts = np.bincount(strata[chosen].astype(int))
        spare = order[(strata[order] == counts.argmax()) & chosen[order]][::-1]
        if len(added) and len(spare) > FEWEST + len(added):
            chosen[added], chosen[spare[: len(added)]] = True, False
    return np.flatnonzero(chosen)


def share_of_train(raw: RawData, train: np.ndarray, share: float) -> np.ndarray:
    """The first of the positions `train` of each class, rounded, but one at least; in the order they had.

    As `split_rows` orders by the seed alone, a smaller share is part of every larger one, for whatever is trained.
    """
    if share == 1:
        return train
    target = _classes_or_one(raw)[train]
    chosen = np.zeros(len(train), dtype=bool)
    for label in np.unique(target):
        members = np.flatnonzero(target == label)
        chosen[members[: max(1, round(len(members) * share))]] = True
    kept: np.ndarray = train[chosen]
    return kept


def _classes_or_one(raw: RawData) -> np.ndarray:
    """Class indices; numbers count as one class."""
    return raw.class_indices() if raw.classes else np.zeros(len(raw), dtype=np.int32)


def _ranks(names: Iterable[str], seed: int) -> np.ndarray:
    """Place of each name in the order of hash(seed, name), int64."""
    digests = [hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest() for name in names]
    order = np.argsort(np.frombuffer(b"".join(digests), dtype=">u8"), kind="stable")
    rank = np.empty(len(digests), dtype=np.int64)
    rank[order] = np.arange(len(digests))
    return rank


def _check_shares(config: SplitConfig) -> None:
    with_test = config.method is not SplitMethod.given
    shares = {"validation": config.validation} | ({"test": config.test} if with_test else {})
    for name, share in shares.items():
        if not 0 < share < 1:
            raise SplitImpossible(f"split.{name}={share}; expected a share of the examples between 0 and 1.")
    if sum(shares.values()) >= 1:
        raise SplitImpossible(
            f"split.validation={config.validation} and split.test={config.test} leave nothing to train on; expected "
            "a sum below 1."
        )


def _random(raw: RawData, config: SplitConfig, rank: np.ndarray) -> np.ndarray:
    test = round(len(raw) * config.test)
    validation = round(len(raw) * config.validation)
    return np.where(rank < test, "test", np.where(rank < test + validation, "validation", "train"))


def _stratified(raw: RawData, config: SplitConfig, rank: np.ndarray) -> np.ndarray:
    return _deal_by_class(raw, {"test": config.test, "validation": config.validation}, rank)


def _deal_by_class(raw: RawData, shares: dict[str, float], rank: np.ndarray) -> np.ndarray:
    """Names with the same shares in each class: rounded, but one example at least; the rest is train."""
    target = raw.class_indices()
    needed = len(shares) + 1
    sizes = np.bincount(target, minlength=len(raw.classes))
    if (sizes < needed).any():
        small = [f"{raw.classes[i]} ({sizes[i]})" for i in np.flatnonzero(sizes < needed)]
        raise SplitImpossible(
            f"too few examples of the classes {shown(small)}; a split by class into {', '.join([*shares, 'train'])} "
            f"needs at least {needed} of each. Add examples, merge these classes with others or drop them."
        )
    names = np.full(len(raw), "train", dtype="<U10")
    for label in range(len(raw.classes)):
        members = np.flatnonzero(target == label)
        members = members[np.argsort(rank[members])]
        start = 0
        for name, share in shares.items():
            end = start + max(1, round(len(members) * share))
            names[members[start:end]] = name
            start = end
    return names


def _grouped(raw: RawData, config: SplitConfig, rank: np.ndarray) -> np.ndarray:
    """Whole groups, dealt in pseudo-random order; of several deals the one that is nearest to the shares.

    A deal that leaves a class out of a split loses to one that does not.
    """
    if raw.group is None:
        raise SplitImpossible(
            "split.method=grouped, but the data set has no groups; expected split.column to name the column of a "
            "table that holds them."
        )
    groups, member_of, sizes = np.unique(raw.group, return_inverse=True, return_counts=True)
    if len(groups) < len(SPLITS):
        raise SplitImpossible(f"split.method=grouped found {len(groups)} groups; expected at least {len(SPLITS)}.")
    wanted = len(raw) * np.array([1 - config.validation - config.test, config.validation, config.test])
    examples = np.zeros((len(groups), max(1, len(raw.classes))), dtype=np.int64)
    np.add.at(examples, (member_of, _classes_or_one(raw)), 1)
    best, least = np.zeros(len(groups), dtype=np.int64), (np.inf, np.inf)
    for deal in range(GROUP_DEALS):
        order = np.argsort(_ranks([f"{deal}:{group}" for group in groups], config.seed))
        split_of = _deal_groups(sizes, wanted, order)
        held = np.stack([examples[split_of == split].sum(axis=0) for split in range(len(SPLITS))])
        distance = (int((held == 0).sum()), float(np.abs(held.sum(axis=1) - wanted).sum()))
        if distance < least:
            best, least = split_of, distance
    return np.array(SPLITS)[best[member_of]]


def _deal_groups(sizes: np.ndarray, wanted: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Position in SPLITS of each group: in this order, each goes to the split that lacks most examples."""
    lacking = wanted.tolist()
    split_of = np.empty(len(sizes), dtype=np.int64)
    for group in order.tolist():
        split = lacking.index(max(lacking))
        split_of[group] = split
        lacking[split] -= int(sizes[group])
    return split_of


def _by_time(raw: RawData, config: SplitConfig, rank: np.ndarray) -> np.ndarray:
    """The oldest are train, the newest test; examples of one moment stay on one side, the later one.

    Those of the last moments before a border are left out, as many as the embargo says, and all from the end of `until`
    on.
    """
    if raw.time is None:
        raise SplitImpossible(
            "split.method=time, but the data set has no times; expected split.column to name the column of a table "
            "that holds them."
        )
    ordered = np.sort(raw.time)
    later = np.zeros(len(raw), dtype=bool)
    if (end := round(len(raw) * config.until)) < len(raw):
        later = raw.time >= ordered[end]
        ordered = ordered[: len(raw) - int(later.sum())]
        if not len(ordered):
            raise SplitImpossible(f"split.until={config.until} leaves no example; expected a larger share.")
    test_begins = ordered[min(round(len(ordered) * (1 - config.test)), len(ordered) - 1)]
    validation_begins = ordered[round(len(ordered) * (1 - config.test - config.validation))]
    names = np.where(raw.time >= test_begins, "test", np.where(raw.time >= validation_begins, "validation", "train"))
    moments, moment = np.unique(raw.time, return_inverse=True)
    for begins in (validation_begins, test_begins):
        border = int(np.searchsorted(moments, begins))
        names[(moment >= border - config.embargo) & (moment < border)] = LEFT_OUT
    names[later] = LEFT_OUT
    return names


def _given(raw: RawData, config: SplitConfig, rank: np.ndarray) -> np.ndarray:
    """The split of the source; validation is carved out of train, by class, where the source has none."""
    if raw.split is None:
        raise SplitImpossible(
            "split.method=given, but the data set brings no split; expected split.column to name the column of a "
            "table that holds train, validation and test, or another method."
        )
    names = raw.split.astype("<U10")
    if (names == "validation").any():
        return names
    rest = np.flatnonzero(names != "test")
    if raw.classes:
        if unseen := np.setdiff1d(raw.target[names == "test"], raw.target[rest]).tolist():
            raise SplitImpossible(
                f"all examples of the classes {shown(unseen)} are in the test set that the data bring; expected some "
                "to learn from as well. Add examples of them to train, or remove them from the test set."
            )
        names[rest] = _deal_by_class(raw.take(rest), {"validation": config.validation}, rank[rest])
    else:
        names[rest[np.argsort(rank[rest])][: max(1, round(len(rest) * config.validation))]] = "validation"
    return names


def _check_classes(raw: RawData, rows: Rows, config: SplitConfig) -> None:
    target = _classes_or_one(raw)
    classes = raw.classes or ["a number"]
    by_seed = f" with seed {config.seed}" if config.method in (SplitMethod.random, SplitMethod.grouped) else ""
    for name, positions in rows.items():
        if len(positions) == 0:
            raise SplitImpossible(
                f"split.method={config.method.name} leaves the {name} split empty ({len(raw)} examples); expected "
                "examples of every class in it. Change the shares or the method."
            )
        absent = np.setdiff1d(np.arange(len(classes)), target[positions])
        if len(absent):
            raise SplitImpossible(
                f"split.method={config.method.name}{by_seed} leaves no example of "
                f"{shown([classes[i] for i in absent])} in the {name} split; expected every class in every split. "
                f"{REMEDIES[config.method]}"
            )
