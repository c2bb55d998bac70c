"""Every scheduler runs a sweep to its end, and what it does to trials is told truthfully."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra._internal.hydra import Hydra
from tests.hydra_plugins.ray_tune_sweeper import tasks
from tests.hydra_plugins.ray_tune_sweeper.conftest import Multirun

from hydra_plugins.ray_tune_sweeper import Status, Sweep, SweepError
from hydra_plugins.ray_tune_sweeper._config import Resources, Scheduler
from hydra_plugins.ray_tune_sweeper._errors import SettingError
from hydra_plugins.ray_tune_sweeper._journal import Report, Trial
from hydra_plugins.ray_tune_sweeper._schedulers import NAMES, OBJECTIVE, STEP, build_scheduler, check_scheduler
from hydra_plugins.ray_tune_sweeper._space import read_space

# one more than a multiple of the interval: no perturbation at the very end
STEPS = 10
POPULATION = (
    "x=interval(0, 1)",
    f"steps={STEPS}",
    "hydra.sweeper.trials=4",
    "hydra.sweeper.scheduler.interval=3",
    f"hydra.sweeper.scheduler.max_steps={STEPS}",
)


def _check_truth(sweep: Sweep) -> None:
    """What the journal says agrees with what tasks noted when they came by."""
    for trial in sweep.trials:
        steps = [report.step for report in trial.reports]
        assert steps == list(range(1, len(steps) + 1))
        assert trial.status in (Status.finished, Status.pruned)
        assert (trial.status is Status.finished) == (trial.steps == STEPS)
        assert Path(f"history-{trial.job}").exists() == (trial.status is Status.finished)


@pytest.mark.parametrize("name", ["fifo", "asha", "median", "hyperband"])
def test_runs_to_the_end(multirun: Multirun, name: str) -> None:
    more = ("hydra.sweeper.trials=9", "hydra.sweeper.scheduler.reduction_factor=2")
    sweep = multirun(tasks.counting, *POPULATION, *more, "seconds=0.01", f"hydra.sweeper.scheduler.name={name}")
    assert len(sweep.trials) == 9
    _check_truth(sweep)
    pruned = [trial for trial in sweep.trials if trial.status is Status.pruned]
    if name == "fifo":
        assert not pruned
        assert all(trial.steps == STEPS for trial in sweep.trials)
    elif name != "hyperband":
        # hyperband halves those that have come so far by then, which may be one alone
        assert pruned
        best = min(sweep.trials, key=lambda trial: float(trial.params["x"]))
        assert best.status is Status.finished
        assert max(float(trial.params["x"]) for trial in pruned) > float(best.params["x"])
    assert sweep.ranked()[0].status is Status.finished
    if name == "hyperband":
        counted = [line.split()[:2] for line in Path("counted").read_text().splitlines()]
        # paused trials went on from their checkpoints: nothing was counted twice
        assert len({tuple(step) for step in counted}) == len(counted)
    assert not (sweep.directory / ".sweep" / "checkpoints").exists()


@pytest.mark.parametrize("name", ["pbt", pytest.param("pb2", marks=pytest.mark.slow)])
def test_population_goes_on_from_its_best(multirun: Multirun, name: str) -> None:
    sweep = multirun(tasks.counting, *POPULATION, f"hydra.sweeper.scheduler.name={name}")
    assert [trial.status for trial in sweep.trials] == [Status.finished] * 4
    _check_truth(sweep)
    changed = [trial for trial in sweep.trials if trial.changes]
    assert changed
    for trial in changed:
        assert trial.params == trial.changes[-1][1]
        for step, params in trial.changes:
            assert step in (3, 6, 9)
            assert 0.0 <= float(params["x"]) <= 1.0
    donors = {job for trial in changed for job in _history(trial) if job != str(trial.job)}
    assert donors
    for trial in sweep.trials:
        history = _history(trial)
        # one entry a step: the count went on in the donor's state, and ended as this trial
        assert len(history) == STEPS
        assert history[-1] == str(trial.job)
        assert sweep.folder(trial.job).is_dir()
    counted = [line.split() for line in Path("counted").read_text().splitlines()]
    for trial in sweep.trials:
        values = {float(x) for job, _, x in counted if int(job) == trial.job}
        changes = {float(params["x"]) for _, params in trial.changes}
        assert changes <= values
        assert len(values) <= len(trial.changes) + 1


def _history(trial: Trial) -> list[str]:
    return Path(f"history-{trial.job}").read_text().split()


def test_trials_take_what_others_leave(multirun: Multirun) -> None:
    sweep = multirun(
        tasks.resourceful, "x=0.1,0.9", "steps=6", "hydra.sweeper.trials=2", "seconds=0.4",
        "hydra.sweeper.scheduler.name=resource_changing", "hydra.sweeper.scheduler.max_steps=6",
    )  # fmt: skip
    assert [trial.status for trial in sweep.trials if trial.params["x"] == "0.1"] == [Status.finished]
    assert {line.split()[2] for line in Path("counted").read_text().splitlines()} == {"1.0", "2.0"}


def test_checkpoints_are_asked_for(multirun: Multirun) -> None:
    with pytest.raises(SweepError, match="the scheduler pauses trials, and the task gives no checkpoints"):
        multirun(tasks.quadratic, *POPULATION, "hydra.sweeper.trials=1", "hydra.sweeper.scheduler.name=pbt")


class _Running:
    def __init__(self, job: int) -> None:
        self.trial_id = f"now-{job}"
        self.job = job

    def __str__(self) -> str:
        return str(self.job)


@pytest.mark.parametrize("name", ["asha", "median"])
def test_past_trials_count_as_if_never_interrupted(ray: Any, app: Hydra, name: str) -> None:
    curves = [[abs(0.1 * (job * 7 % 10) - 0.4) + 1 / step for step in range(1, 10)] for job in range(10)]
    settings = Scheduler(name=name, max_steps=9, reduction_factor=3)
    space = read_space({}, [], ["x=interval(0, 1)"], app.config_loader)

    def decide(scheduler: Any, jobs: range, past: list[Trial]) -> list[tuple[int, int]]:
        stops = []
        for job in jobs:
            trial = _Running(job)
            scheduler.on_trial_add(_Controller(), trial)
            for step, objective in enumerate(curves[job], start=1):
                result = {STEP: step, OBJECTIVE: objective, "time_total_s": step, "training_iteration": step}
                past[job].reports.append(Report(step, 0.0, objective))
                if scheduler.on_trial_result(_Controller(), trial, result) == "STOP":
                    stops.append((job, step))
                    past[job].status = Status.pruned
                    break
            else:
                past[job].status = Status.finished
                scheduler.on_trial_complete(_Controller(), trial, result)
        return stops

    def build(past: list[Trial]) -> Any:
        scheduler = build_scheduler(settings, space, past)
        scheduler.set_search_properties(OBJECTIVE, "min")
        return scheduler

    whole = [Trial(job, {"x": 0.0}) for job in range(10)]
    uninterrupted = decide(build([]), range(10), whole)
    halves = [Trial(job, {"x": 0.0}) for job in range(10)]
    before = decide(build([]), range(5), halves)
    after = decide(build(halves[:5]), range(5, 10), halves)
    assert uninterrupted
    assert before + after == uninterrupted


class _Controller:
    def get_live_trials(self) -> list[Any]:
        return []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Scheduler(name="bohb"), f"name=bohb: expected one of: {', '.join(NAMES)}"),
        (Scheduler(name="asha", max_steps=0), "max_steps=0: expected 1 or more"),
        (Scheduler(name="asha", max_steps=5, grace_steps=6), "grace_steps=6: expected 1 to max_steps=5"),
        (Scheduler(name="asha", reduction_factor=1), "reduction_factor=1: expected more than 1"),
        (Scheduler(name="pbt", quantile=0.6), "quantile=0.6: expected more than 0, at most 0.5"),
        (Scheduler(name="pbt", interval=0), "interval=0: expected 1 or more"),
        (Scheduler(name="median", min_trials=0), "min_trials=0: expected 1 or more"),
    ],
)
def test_settings_out_of_range(settings: Scheduler, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        check_scheduler(settings, Resources())
    assert message in str(caught.value)


def test_trials_that_take_turns_are_not_limited() -> None:
    with pytest.raises(SettingError, match=r"max_concurrent=2.*take turns"):
        check_scheduler(Scheduler(name="pbt"), Resources(max_concurrent=2))


@pytest.mark.parametrize(
    ("arguments", "mutate", "message"),
    [
        (["x=1,2"], None, "no key is searched over an interval of real numbers"),
        (["x=interval(0, 1)"], ["y"], "mutate holds y: expected keys that are searched over an interval.*: x"),
    ],
)
def test_nothing_to_change(ray: Any, app: Hydra, arguments: list[str], mutate: list[str] | None, message: str) -> None:
    space = read_space({}, [], arguments, app.config_loader)
    with pytest.raises(SettingError, match=message):
        build_scheduler(Scheduler(name="pbt", mutate=mutate), space, [])
