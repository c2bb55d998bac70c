"""Who chooses the configurations, and what they know of the past."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import pytest
from hydra._internal.hydra import Hydra

from hydra_plugins.ray_tune_sweeper._config import Mode, Searcher
from hydra_plugins.ray_tune_sweeper._errors import SettingError, SpaceError
from hydra_plugins.ray_tune_sweeper._journal import Report, Status, Trial
from hydra_plugins.ray_tune_sweeper._searchers import Optuna, Sampler, build_sampler
from hydra_plugins.ray_tune_sweeper._space import Params, Space, read_space

CONDITION = {"when": {"kind": ["b"]}, "params": {"y": "interval(0, 1)"}}


@pytest.fixture
def read(app: Hydra) -> Callable[..., Space]:
    return lambda *arguments, conditions=(): read_space({}, conditions, arguments, app.config_loader)


def _build(name: str, space: Space, past: list[Trial] | None = None, seed: int = 0, mode: Mode = Mode.min) -> Sampler:
    return build_sampler(Searcher(name=name, seed=seed), space, mode, past or [])


def _ended(job: int, params: Params, objective: float | None, status: Status = Status.finished) -> Trial:
    return Trial(job, params, status, [] if objective is None else [Report(1, 0.0, objective)])


def _quadratic(params: Params) -> float:
    return sum((float(value) - 0.3) ** 2 for key, value in params.items() if key in ("x", "y"))


def _run(sampler: Sampler, jobs: range, objective: Callable[[Params], float] = _quadratic) -> list[Trial]:
    trials = []
    for job in jobs:
        params = sampler.ask(job)
        assert params is not None
        trials.append(_ended(job, params, objective(params)))
        sampler.tell(trials[-1])
    return trials


def test_grid_goes_on_where_it_was(read: Any) -> None:
    space = read("x=1,2", "kind=a,b")
    whole = [_build("grid", space).ask(job) for job in range(5)]
    assert whole == [*space.grid(), None]
    resumed = _build("grid", space, [Trial(0, {}), Trial(1, {})])
    assert resumed.ask(2) == whole[2]


def test_grid_of_an_interval_is_refused(read: Any) -> None:
    with pytest.raises(SpaceError, match="a grid needs values that can be counted"):
        _build("grid", read("x=interval(0, 1)"))


def test_random_takes_every_combination_once(read: Any) -> None:
    sampler = _build("random", read("x=range(0,25)", "y=range(0,20)"))
    drawn = [sampler.ask(job) for job in range(500)]
    assert len({tuple(params.items()) for params in drawn if params}) == 500
    assert sampler.ask(500) is None


@pytest.mark.parametrize("arguments", [("x=range(0,6)",), ("x=interval(0, 1)",)])
def test_random_goes_on_as_if_never_interrupted(read: Any, arguments: tuple[str, ...]) -> None:
    space = read(*arguments)
    sampler = _build("random", space)
    whole = [sampler.ask(job) or {} for job in range(6)]
    resumed = _build("random", space, [Trial(job, params) for job, params in enumerate(whole[:3])])
    assert [resumed.ask(job) for job in range(3, 6)] == whole[3:]
    assert [_build("random", space, seed=1).ask(job) for job in range(3)] != whole[:3]


@pytest.mark.parametrize("name", ["tpe", "cmaes", "hyperopt"])
def test_models_of_the_past_beat_chance(read: Any, name: str) -> None:
    if name == "hyperopt":
        pytest.importorskip("hyperopt")
    space = read("x=interval(-3, 3)", "y=interval(-3, 3)")

    def best(searcher: str, seed: int) -> float:
        trials = _run(_build(searcher, space, seed=seed), range(40))
        return min(trial.objective or 0.0 for trial in trials)

    seeds = range(5)
    assert statistics.median(best(name, s) for s in seeds) < statistics.median(best("random", s) for s in seeds)


@pytest.mark.parametrize("name", ["tpe", "cmaes", "hyperopt"])
def test_models_know_the_past(read: Any, name: str) -> None:
    if name == "hyperopt":
        pytest.importorskip("hyperopt")
    space = read("x=interval(-3, 3)", "y=interval(-3, 3)")
    past = _run(_build("random", space, seed=3), range(60), lambda params: -_quadratic(params))
    drawn = _run(_build(name, space, past, mode=Mode.max), range(60, 75), lambda params: -_quadratic(params))
    before = statistics.mean(_quadratic(trial.params) for trial in past)
    assert statistics.mean(_quadratic(trial.params) for trial in drawn) < before / 2


def test_whatever_became_of_trials_is_told(read: Any) -> None:
    space = read("x=tag(log, interval(1e-3, 1))", "steps=int(interval(1, 9))", "kind=a,b", conditions=[CONDITION])
    params: Params = {"x": 0.1, "steps": 3, "kind": "a"}
    past = [
        _ended(0, params, 0.5),
        _ended(1, {**params, "kind": "b", "y": 0.5}, 0.7, Status.pruned),
        _ended(2, params, None, Status.failed),
        Trial(3, params),
    ]
    sampler = _build("tpe", space, past)
    assert isinstance(sampler, Optuna)
    assert [trial.state.name for trial in sampler.study.trials] == ["COMPLETE", "PRUNED", "FAIL"]
    assert sampler.study.trials[1].intermediate_values == {1: 0.7}
    assert set(sampler.study.trials[0].params.values()) == {0.1, 3, "a"}
    assert 0.5 in sampler.study.trials[1].params.values()
    # the one that was interrupted counts when it ends
    sampler.tell(_ended(3, params, 0.4))
    assert sampler.study.best_value == 0.4


def test_conditions_are_known_to_tpe(read: Any) -> None:
    space = read("kind=a,b", "x=interval(0, 1)", conditions=[CONDITION])
    trials = _run(_build("tpe", space), range(40), lambda p: _quadratic(p) if p["kind"] == "b" else 1.0)
    assert all(("y" in trial.params) == (trial.params["kind"] == "b") for trial in trials)
    assert sum(trial.params["kind"] == "b" for trial in trials[20:]) > 12


def test_whole_numbers_stay_whole(read: Any) -> None:
    space = read("steps=tag(log, int(interval(1, 64)))", "x=interval(0, 1)")
    for name in ("tpe", "cmaes", "hyperopt"):
        sampler = _build(name, space)
        for job in range(15):
            params = sampler.ask(job) or {}
            assert type(params["steps"]) is int
            assert 1 <= params["steps"] <= 64
            sampler.tell(_ended(job, params, float(params["steps"])))


def test_hyperopt_does_not_know_conditions(read: Any) -> None:
    with pytest.raises(SettingError, match="cannot search conditional keys such as y; expected tpe"):
        _build("hyperopt", read("kind=a,b", conditions=[CONDITION]))


def test_unknown_searcher(read: Any) -> None:
    with pytest.raises(SettingError, match="name=anneal: expected one of: grid, random, tpe, cmaes, hyperopt"):
        _build("anneal", read("x=1,2"))


@pytest.mark.parametrize(("name", "package"), [("tpe", "optuna"), ("cmaes", "cmaes"), ("hyperopt", "hyperopt")])
def test_missing_package(read: Any, monkeypatch: pytest.MonkeyPatch, name: str, package: str) -> None:
    import importlib.util

    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted: None if wanted == package else there(wanted))
    with pytest.raises(SettingError, match=f"needs the package {package}: pip install {package}"):
        _build(name, read("x=1,2"))
