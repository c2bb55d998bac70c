"""Prepared data are found, made, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from heldout.config.stages import TrainConfig
from heldout.data.errors import CardMismatch, CardUnreadable
from heldout.data.prepare import prepare
from heldout.training.prepared import find_or_prepare, locate

Compose = Callable[..., TrainConfig]


def test_data_are_prepared_once(train_config: Compose) -> None:
    data = train_config("data=digits").data
    first = find_or_prepare(data, None)
    written = (first.folder / "card.json").stat().st_mtime_ns
    assert find_or_prepare(data, None).folder == first.folder
    assert (first.folder / "card.json").stat().st_mtime_ns == written


def test_another_setting_is_another_folder(train_config: Compose) -> None:
    assert locate(train_config("data=digits").data) != locate(train_config("data=digits", "data.split.seed=1").data)


def test_the_pipelines_folder_is_taken_when_it_holds_just_that(train_config: Compose) -> None:
    data = train_config("data=digits").data
    prepare(data, Path("data/prepared/digits"))
    assert locate(data) == Path("data/prepared/digits")
    assert locate(train_config("data=digits", "data.limit=500").data) != Path("data/prepared/digits")


def test_a_users_file_that_changed_is_another_folder(train_config: Compose, workplace: Path) -> None:
    table = workplace / "own.csv"
    table.write_text("a,b\n1,x\n2,y\n")
    overrides = ("data=table", f"data.path={table}", "data.target=b")
    before = locate(train_config(*overrides).data)
    table.write_text("a,b\n1,x\n3,y\n")
    assert locate(train_config(*overrides).data) != before


def test_data_prepared_otherwise_are_refused(train_config: Compose) -> None:
    prepare(train_config("data=digits").data, Path("here"))
    with pytest.raises(CardMismatch, match="prepared with other settings"):
        find_or_prepare(train_config("data=digits", "data.split.seed=3").data, "here")


def test_a_folder_without_data_is_refused(train_config: Compose, workplace: Path) -> None:
    with pytest.raises(CardUnreadable, match="Run the prepare stage first"):
        find_or_prepare(train_config("data=digits").data, str(workplace / "nothing"))
