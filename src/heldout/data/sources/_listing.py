"""The files of a data set of many files: below a folder for each class, or listed in a csv or parquet file."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from heldout.config.data import FilesData, SplitMethod, Unreadable
from heldout.data.card import SPLITS
from heldout.data.errors import ColumnUnusable, FileUnreadable, SplitImpossible, shown
from heldout.data.sources import _labels
from heldout.data.sources._files import read_table

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Listing:
    """Files with what is known of each: id, class, split, group and time, as RawData has them."""

    files: list[Path]
    ids: np.ndarray
    target: np.ndarray
    split: np.ndarray | None = None
    group: np.ndarray | None = None
    time: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Listing:
        arrays = {name: getattr(self, name) for name in ("ids", "target", "split", "group", "time")}
        picked: dict[str, Any] = {name: None if array is None else array[rows] for name, array in arrays.items()}
        return replace(self, files=[self.files[row] for row in rows], **picked)

    def about(self) -> dict[str, Any]:
        """What RawData takes of it."""
        named = {name: getattr(self, name) for name in ("ids", "target", "split", "group", "time")}
        return {**named, "classes": _labels.ordered(np.unique(self.target).tolist())}


def list_files(config: FilesData, suffixes: tuple[str, ...]) -> Listing:
    """All files that the config names; other files in the folders are left aside.

    Raises:
        FileUnreadable: there is no such folder or file, or nothing in it.
        ColumnMissing, ColumnUnusable, TargetUnusable: see there.
    """
    path = Path(config.path)
    return _from_folder(path, config, suffixes) if path.is_dir() else _from_table(path, config)


def read_each(
    listing: Listing, config: FilesData, read: Callable[[Path], T], keep: Callable[[int, T], None]
) -> np.ndarray:
    """Reads one file after another; returns the rows that could be read.

    `read` raises FileUnreadable; `keep` is given the place among the files that could be read, and what was read.

    Raises:
        FileUnreadable: naming the files that cannot be read, where the config does not skip them, or none can.
    """
    kept: list[int] = []
    failed: list[str] = []
    for row, file in enumerate(listing.files):
        try:
            value = read(file)
        except FileUnreadable as error:
            failed.append(str(error))
            continue
        keep(len(kept), value)
        kept.append(row)
    if failed and (config.unreadable is Unreadable.refuse or not kept):
        raise FileUnreadable(
            f"{len(failed)} of {len(listing.files)} files of {config.path} cannot be used:\n{first_of(failed)}\nMend "
            "or remove them, or set data.unreadable=skip to leave them out."
        )
    for message in failed:
        log.warning("left out: %s", message.strip())
    return np.array(kept, dtype=np.int64)


_SHOWN = 8


def first_of(failed: list[str]) -> str:
    """The first of the messages on single files, a line each, and how many there are if there are more."""
    more = [f"... ({len(failed)} in all)"] if len(failed) > _SHOWN else []
    return "\n".join(failed[:_SHOWN] + more)


def files_below(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """All files at any depth whose names end so, sorted."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in suffixes and file.is_file())


def _from_folder(path: Path, config: FilesData, suffixes: tuple[str, ...]) -> Listing:
    given = config.split.method is SplitMethod.given
    files = files_below(path, suffixes)
    names = [file.relative_to(path) for file in files]
    depth = 2 if given else 1
    if loose := [name for name in names if len(name.parts) <= depth]:
        below = "a folder for each class, below train, validation and test" if given else "a folder for each class"
        raise FileUnreadable(f"data.path={path} holds {shown(loose)} outside of such folders; expected {below}.")
    if not files:
        raise FileUnreadable(
            f"data.path={path} holds no file that ends in {', '.join(suffixes)}; expected a folder for each class."
        )
    split = np.array([name.parts[0] for name in names]) if given else None
    if split is not None and (unknown := sorted(set(split.tolist()) - set(SPLITS))):
        raise ColumnUnusable(
            f"data.path={path} holds the folders {shown(unknown)}; expected only {', '.join(SPLITS)}, since "
            "data.split.method=given."
        )
    return Listing(
        files=files,
        ids=np.array([name.as_posix() for name in names]),
        target=np.array([name.parts[depth - 1] for name in names]),
        split=split,
        group=_groups(names, config),
    )


def _groups(names: list[Path], config: FilesData) -> np.ndarray | None:
    if config.split.method is not SplitMethod.grouped:
        return None
    if config.group_pattern is None:
        raise SplitImpossible(
            "data.split.method=grouped on folders needs data.group_pattern; expected a regular expression whose group "
            r"finds what belongs together in a file's path, for example 'speaker-(\d+)'."
        )
    found = [re.search(config.group_pattern, name.as_posix()) for name in names]
    if without := [name.as_posix() for name, one in zip(names, found, strict=True) if one is None]:
        raise SplitImpossible(
            f"data.group_pattern={config.group_pattern} finds nothing in {shown(without)}; expected a group in each."
        )
    return np.array([one.group(1) for one in found if one is not None])


def _from_table(path: Path, config: FilesData) -> Listing:
    table = read_table(path, config)
    by = _labels.split_column(config)
    named = {"data.file": config.file, "data.target": config.target, "data.id": config.id, "data.split.column": by}
    _labels.check_named(table, named, config)
    files = _labels.complete_text(table, config.file, "data.file")
    return Listing(
        files=[path.parent / name for name in files],
        ids=files if config.id is None else _labels.ids(table, config),
        target=_labels.target(table, config),
        split=_labels.split_names(table, config),
        group=_labels.group(table, config),
        time=_labels.time(table, config),
    )
