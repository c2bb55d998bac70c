"""What can be wrong with data, one class per kind of mistake."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from heldout.errors import UserError


class DataError(UserError):
    """Base of everything that can be wrong with data."""


class UnknownSource(DataError):
    """`data.source` names no registered source."""


class PackageMissing(DataError):
    """A package with the data, or one that reads them, is not installed."""


class FileUnreadable(DataError):
    """A file of the user's is absent, empty, malformed or in another encoding."""


class ColumnMissing(DataError):
    """A column that the config or the card names is not in the table."""


class ColumnUnusable(DataError):
    """A column holds something other than its kind says."""


class TargetUnusable(DataError):
    """The target has missing values, a single class, or is not made of classes."""


class DuplicateIds(DataError):
    """Two examples have the same id."""


class NotFinite(DataError):
    """An input holds an infinite value."""


class SplitImpossible(DataError):
    """The split asked for leaves a class or a whole split out."""


class CardUnreadable(DataError):
    """`card.json` is absent, is not JSON, or lacks a field."""


class CardMismatch(DataError):
    """The card does not describe the files beside it."""


class CorruptFile(DataError):
    """An Arrow file cannot be read."""


class PolicyViolated(DataError):
    """Prepared data do not meet the quality policy."""


class OutputOccupied(DataError):
    """The folder to write into holds files that `prepare` did not write."""


class TestSetSealed(DataError):
    """The test split was asked for outside of `open_test_split`."""

    __test__ = False  # the name is no invitation to pytest


class LedgerUnreadable(DataError):
    """The ledger of test set openings holds a line that is not an opening."""


def shown(names: Iterable[object], most: int = 8) -> str:
    """`'a', 'b', ... (12 in all)`: names for an error message, cut where there are many."""
    every: Sequence[object] = list(names)
    text = ", ".join(f"'{name}'" for name in every[:most])
    return f"{text}, ... ({len(every)} in all)" if len(every) > most else text
