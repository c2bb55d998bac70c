"""The search space is what Hydra's sweep syntax says."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from hydra_plugins.ray_tune_sweeper._errors import SpaceError
from hydra_plugins.ray_tune_sweeper._space import Choice, Interval, Space, read_space

CONDITION = {"when": {"kind": ["b"]}, "params": {"y": "interval(0, 1)"}}


@pytest.fixture
def read(app: Hydra) -> Any:
    def read(*arguments: str, params: Any = None, conditions: Any = ()) -> Space:
        return read_space(params or {}, conditions, arguments, app.config_loader)

    return read


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("x=1,2,3", Choice(("1", "2", "3"))),
        ("x=choice(1,2)", Choice(("1", "2"))),
        ("x=range(1,4)", Choice(("1", "2", "3"))),
        ("x=range(0,1,0.5)", Choice(("0.0", "0.5"))),
        ("x=interval(0.0, 1)", Interval(0.0, 1.0)),
        ("x=interval(1, 8)", Interval(1.0, 8.0)),
        ("x=int(interval(1.0, 8))", Interval(1.0, 8.0, integer=True)),
        ("x=tag(int, interval(1.0, 8.0))", Interval(1.0, 8.0, integer=True)),
        ("x=tag(log, interval(1e-4, 1e-1))", Interval(1e-4, 1e-1, log=True)),
        ("x=tag(log, int, interval(1, 64))", Interval(1.0, 64.0, log=True, integer=True)),
        ("x=tag(log, int(interval(1, 64)))", Interval(1.0, 64.0, log=True, integer=True)),
        ("net=glob(*)", Choice(("large", "small"))),
        ("kind='a,b','c=d'", Choice(("'a,b'", "'c=d'"))),
        ("x=[1,2],[3]", Choice(("[1,2]", "[3]"))),
        ("x={a:1},{a:2}", Choice(("{a:1}", "{a:2}"))),
        ("+new=1,2", Choice(("1", "2"))),
    ],
)
def test_syntax(read: Any, argument: str, expected: Any) -> None:
    (parameter,) = read(argument).parameters
    assert parameter.domain == expected
    assert parameter.key == argument.split("=")[0]


def test_shuffled_values_are_the_values(read: Any) -> None:
    (parameter,) = read("x=shuffle(1,2,3)").parameters
    assert sorted(parameter.domain.values) == ["1", "2", "3"]


def test_single_values_are_fixed(read: Any) -> None:
    space = read("x=1,2", "kind=b", "~y", "+new=3")
    assert space.fixed == ("kind=b", "~y", "+new=3")
    assert space.overrides({"x": "2"}) == ["kind=b", "~y", "+new=3", "x=2"]


def test_command_line_is_stronger_than_config(read: Any) -> None:
    assert read("x=3,4", params={"x": "1,2", "y": "5,6"}).to_plain() == {"x": "choice(3,4)", "y": "choice(5,6)"}
    fixed = read("x=3", params={"x": "1,2", "y": "5,6"})
    assert fixed.to_plain() == {"y": "choice(5,6)"}
    assert fixed.fixed == ("x=3",)


@pytest.mark.parametrize(
    "arguments",
    [
        ["x=1,2,3", "kind=a,b"],
        ["x=range(1,4)", "y=0.5", "kind=choice(a,b)"],
        ["net=glob(*)", "x=1,2"],
        ["kind='a,b','c=d'", "+new=[1,2],[3]"],
    ],
)
def test_grid_is_that_of_hydra(read: Any, app: Hydra, arguments: list[str]) -> None:
    parsed = OverridesParser.create(config_loader=app.config_loader).parse_overrides(arguments)
    (batch,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    space = read(*arguments)
    ours = [space.overrides(params) for params in space.grid()]
    assert [sorted(job) for job in ours] == [sorted(job) for job in batch]


def test_conditional_keys_are_drawn_with_their_condition(read: Any) -> None:
    space = read("kind=a,b", conditions=[CONDITION])
    drawn = [space.sample(random.Random(seed)) for seed in range(50)]
    assert {params["kind"] for params in drawn} == {"a", "b"}
    assert all(("y" in params) == (params["kind"] == "b") for params in drawn)


def test_conditions_may_hang_on_conditional_keys(read: Any) -> None:
    conditions = [
        {"when": {"+deep": [1]}, "params": {"+deeper": "1,2"}},
        {"when": {"kind": "b"}, "params": {"+deep": "0,1"}},
    ]
    grid = list(read("kind=a,b", conditions=conditions).grid())
    assert grid == [
        {"kind": "a"},
        {"kind": "b", "+deep": "0"},
        {"kind": "b", "+deep": "1", "+deeper": "1"},
        {"kind": "b", "+deep": "1", "+deeper": "2"},
    ]


def test_a_key_may_have_a_domain_for_each_condition(read: Any) -> None:
    conditions = [
        {"when": {"kind": "a"}, "params": {"x": "1,2"}},
        {"when": {"kind": "b"}, "params": {"x": "3,4"}},
    ]
    grid = [(params["kind"], params["x"]) for params in read("kind=a,b", conditions=conditions).grid()]
    assert grid == [("a", "1"), ("a", "2"), ("b", "3"), ("b", "4")]


@pytest.mark.parametrize(
    ("arguments", "conditions", "message"),
    [
        (["x=interval(1.0, 0.0)"], [], "ends are swapped; expected interval(0.0, 1.0)"),
        (["x=interval(1, 1)"], [], "has one value"),
        (["x=tag(log, interval(0, 1))"], [], "needs a lower end above 0"),
        (["x=tag(log, interval(-1.0, 1))"], [], "needs a lower end above 0"),
        (["x=tag(int, interval(0.5, 3))"], [], "expected whole numbers"),
        (["x=interval(0.0, inf)"], [], "expected two finite ends"),
        (["x=tag(lgo, interval(1, 2))"], [], "the tag 'lgo' is not known; expected log, int"),
        (["x=1,2,1"], [], "1 is given more than once"),
        (["x=1"], [], "there is nothing to search"),
        ([], [], "there is nothing to search"),
        (["x=1,2"], [CONDITION], "y depends on kind, which is not searched; expected one of: x"),
        (["kind=a,c"], [CONDITION], "y depends on kind=b, a value that is never drawn; expected one of: a, c"),
        (["kind=a,b"], [{"when": {"kind": "b"}, "params": {"y": "1"}}], "'y=1' has one value"),
        (["kind=a,b"], [{"if": {"kind": "b"}}], "expected items such as"),
    ],
)
def test_mistakes_are_named(read: Any, arguments: list[str], conditions: list[Any], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        read(*arguments, conditions=conditions)
    assert message in str(caught.value)


def test_whole_numbers_are_drawn_evenly() -> None:
    rng = random.Random(0)
    counts = Counter(Interval(1, 4, integer=True).sample(rng) for _ in range(4000))
    assert set(counts) == {1, 2, 3, 4}
    assert min(counts.values()) > 900


def test_logarithmic_draws_are_even_by_power_of_ten() -> None:
    rng = random.Random(0)
    drawn = [float(Interval(1e-4, 1e-1, log=True).sample(rng)) for _ in range(3000)]
    assert all(1e-4 <= value <= 1e-1 for value in drawn)
    # a third each, within four standard errors of a binomial share
    assert sum(value < 1e-3 for value in drawn) / 3000 == pytest.approx(1 / 3, abs=0.035)
    assert sum(value > 1e-2 for value in drawn) / 3000 == pytest.approx(1 / 3, abs=0.035)
