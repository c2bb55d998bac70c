"""Whatever a trial does, it ends with its reason, and the sweep goes on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.hydra_plugins.ray_tune_sweeper import tasks
from tests.hydra_plugins.ray_tune_sweeper.conftest import Multirun

from hydra_plugins.ray_tune_sweeper import Status, Sweep, SweepCallback, SweepError, Trial
from hydra_plugins.ray_tune_sweeper import _trainable as trainable
from hydra_plugins.ray_tune_sweeper._errors import ClusterError, NothingReported, SettingError, StorageError
from hydra_plugins.ray_tune_sweeper._recorder import explain_death

GRID = "hydra.sweeper.searcher.name=grid"
HOW = {
    "fine": (Status.finished, None),
    "raise": (Status.failed, r"ValueError: x is 0.5 \(tasks.py:\d+\)"),
    "exit": (Status.failed, r"the task ended its process: exit\(3\)"),
    "nan": (Status.failed, "objective became nan at step 1"),
    "nothing": (Status.failed, "came to its end without the objective 'objective': it reported nothing"),
    "other": (Status.failed, "came to its end without the objective 'objective': it reported loss, step"),
    "none": (Status.finished, None),
    "number": (Status.finished, None),
    "infinite": (Status.failed, "the task returned inf"),
    "os_exit": (Status.failed, "its worker died"),
    "kill": (Status.failed, "its worker died"),
    "segfault": (Status.failed, "its worker died"),
    "other_died": (Status.failed, "worker 2 is gone"),
    "hang": (Status.failed, "it took longer than hydra.sweeper.trial_seconds=5"),
    "hang_in_c": (Status.failed, "it took longer than hydra.sweeper.trial_seconds=5"),
}


@pytest.mark.kills
def test_every_way_to_fail(multirun: Multirun, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = multirun(
        tasks.failing, f"how={','.join(HOW)}", GRID, "hydra.sweeper.trial_seconds=5", "hydra.sweeper.restarts=1"
    )
    assert [trial.params["how"] for trial in sweep.trials] == list(HOW)
    for trial, (status, error) in zip(sweep.trials, HOW.values(), strict=True):
        assert trial.status is status, trial
        assert (trial.error is None) if error is None else re.search(error, trial.error or ""), trial
    objectives = {trial.params["how"]: trial.objective for trial in sweep.trials}
    assert objectives["none"] == 0.25
    assert objectives["number"] == 0.125
    starts = Path("starts").read_text().split()
    # a worker that dies is worth a second try; what the task itself does wrong is not, nor is a task that hangs
    assert {how: starts.count(how) for how in HOW} == {
        how: 2 if how in ("os_exit", "kill", "segfault", "other_died") else 1 for how in HOW
    }


def test_pruned_may_be_swallowed(multirun: Multirun) -> None:
    sweep = multirun(
        tasks.swallowing, "x=0.1,0.9,0.95", "steps=4", GRID, "hydra.sweeper.resources.max_concurrent=1",
        "hydra.sweeper.scheduler.name=asha", "hydra.sweeper.scheduler.max_steps=4",
    )  # fmt: skip
    assert [trial.status for trial in sweep.trials] == [Status.finished, Status.pruned, Status.pruned]


def test_objective_that_nobody_reports(multirun: Multirun) -> None:
    with pytest.raises(NothingReported, match="without the objective 'acc': it reported objective") as caught:
        multirun(tasks.quadratic, "x=0.1,0.2,0.3", "hydra.sweeper.objective.metric=acc", "hydra.sweeper.trials=3")
    assert "hydra.sweeper.objective.metric" in str(caught.value)


def test_all_failed(multirun: Multirun) -> None:
    with pytest.raises(SweepError, match=r"all 2 trials of the sweep 'app' failed; the first said: ValueError"):
        multirun(tasks.failing, "x=0.1,0.2", "how=raise", GRID)


class Breaking(SweepCallback):
    """Fails at the end of the first trial."""

    def on_trial_end(self, sweep: Sweep, trial: Trial) -> None:
        raise RuntimeError(f"no room for trial {trial.job}")

    def on_sweep_interrupted(self, sweep: Sweep) -> None:
        Path("interrupted").touch()


@pytest.mark.slow
def test_callback_that_fails_ends_the_sweep(multirun: Multirun) -> None:
    target = f"hydra.sweeper.callbacks.one._target_={Breaking.__module__}.Breaking"
    with pytest.raises(RuntimeError, match="no room for trial"):
        multirun(tasks.quadratic, "x=0.1,0.2,0.3", GRID, f"+{target}")
    assert Path("interrupted").exists()
    sweep = multirun(tasks.quadratic, "x=0.1,0.2,0.3", GRID)
    assert [trial.status for trial in sweep.trials] == [Status.finished] * 3


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["hydra.sweeper.searcher.name=anneal"], SettingError, "expected one of: grid, random"),
        (["hydra.sweeper.scheduler.name=sha"], SettingError, "expected one of: fifo, asha"),
        (["hydra.sweeper.trials=0"], SettingError, "hydra.sweeper.trials=0: expected 1 or more"),
        (["hydra.sweeper.trial_seconds=0"], SettingError, "trial_seconds=0.0: expected more than 0"),
        (["hydra.sweeper.restarts=-1"], SettingError, "restarts=-1: expected 0 or more"),
        (["hydra.sweeper.resources.cpus=0"], SettingError, "neither CPUs nor GPUs"),
        (["hydra.sweeper.resources.gpus=1.5"], SettingError, "expected a whole number, or less than 1"),
        (["hydra.sweeper.resources.gpus=1"], ClusterError, "gpus=1: the Ray cluster has 1 node, and none has"),
        (["hydra.sweeper.resources.cpus=64"], ClusterError, "cpus=64: .* none has more than 2 CPUs"),
        (["hydra.sweeper.resources.workers=3"], ClusterError, "workers=3 of 1 CPUs each: .* has 2 CPUs in all"),
        (["hydra.sweeper.storage=/proc/nowhere"], StorageError, "storage=/proc/nowhere.* cannot be written"),
        (["hydra.sweeper.storage=what://bucket/x"], StorageError, "what://bucket/x.* cannot be opened"),
        (["y=no"], Exception, "Error merging override y=no"),
    ],
)  # fmt: skip
def test_bad_input(multirun: Multirun, overrides: list[str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        multirun(tasks.quadratic, "x=0.1,0.2", *overrides)
    assert not Path("starts").exists()


def test_searched_key_that_does_not_exist(multirun: Multirun) -> None:
    with pytest.raises(Exception, match="Could not override 'learning_rate'"):
        multirun(tasks.quadratic, "learning_rate=0.1,0.2")


def test_death_for_want_of_memory_is_named(ray: Any) -> None:
    error = ray.exceptions.OutOfMemoryError("Task was killed due to the node running low on memory.\nMore lines.")
    assert explain_death(error) == (
        "its worker was killed because the node ran out of memory: "
        "Task was killed due to the node running low on memory."
    )


def test_a_hanging_task_is_given_time_to_clean_up() -> None:
    assert 0 < trainable.LIMIT_GRACE < trainable.WATCHDOG_GRACE
