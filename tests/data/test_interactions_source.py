"""Ratings of the user's, and those that ship with a package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from heldout.config.data import InteractionsData, QualityConfig, SplitConfig, SplitMethod
from heldout.data.errors import ColumnMissing, DataError, TargetUnusable
from heldout.data.prepare import prepare
from heldout.data.quality import check
from heldout.data.sources import load_source
from heldout.data.store import read_split

MakeCsv = Callable[..., Path]


def text(pairs: int = 60) -> str:
    """Ten users and six items."""
    rows = [f"anna{n // 6},film{n % 6},{1 + n % 5}" for n in range(pairs)]
    return "\n".join(["user,item,rating", *rows]) + "\n"


def config(path: Path, **parts: object) -> InteractionsData:
    split = SplitConfig(method=SplitMethod.random)
    return InteractionsData(**{"name": "films", "path": str(path), "split": split, "scale": [1, 5], **parts})


def test_each_rating_is_an_example_named_after_its_pair(make_csv: MakeCsv) -> None:
    raw = load_source(config(make_csv(text())))
    assert raw.task == "recommendation"
    assert raw.ids[:2].tolist() == ["anna0/film0", "anna0/film1"]
    assert raw.inputs["categorical"].dtype == np.int32
    assert raw.inputs["categorical"].max(axis=0).tolist() == [10, 6]
    assert raw.target[:3].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "parts", "error", "message"),
    [
        ("anna0,film0,3", {}, DataError, "1 pairs of a user and an item are rated more than once: 'anna0/film0'"),
        (
            "anna0,film9,6",
            {},
            TargetUnusable,
            r"1 ratings lie outside of data.scale=\[1, 5\], first 6 of 'anna0/film9'",
        ),
        (
            "anna0,film9,good",
            {},
            TargetUnusable,
            r"row 61 holds 'good' .* data.task=recommendation needs a number in every row. Mend the value\.$",
        ),
        ("anna0,film9,", {}, TargetUnusable, "1 rows have no value, the first is row 61"),
        ("anna0,film9,3", {"item": "movie"}, ColumnMissing, "data.item: there is no column 'movie'"),
    ],
)
def test_what_is_no_set_of_ratings_is_refused(
    make_csv: MakeCsv, change: str, parts: dict[str, object], error: type[DataError], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_source(config(make_csv(text() + change + "\n"), **parts))


def test_users_that_train_does_not_hold_are_unknown_and_reported(make_csv: MakeCsv, tmp_path: Path) -> None:
    lines = text().splitlines()
    split = ["split", *(["train"] * 36), *(["validation"] * 12), *(["test"] * 12)]
    given = "\n".join(f"{line},{name}" for line, name in zip(lines, split, strict=True))
    card = prepare(
        config(make_csv(given), split=SplitConfig(method=SplitMethod.given, column="split")), tmp_path / "out"
    )
    assert len(card.categorical_columns[0]["categories"]) == 6
    assert (read_split(tmp_path / "out", "validation").inputs["categorical"][:, 0] == 0).all()
    report = check(tmp_path / "out", QualityConfig())
    (found,) = [one for one in report.findings if one.check == "unknown_users"]
    assert found.value == 1
    assert "24 are by users and 0 of items that train does not hold" in found.message
