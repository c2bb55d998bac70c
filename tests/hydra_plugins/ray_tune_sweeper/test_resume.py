"""Whatever is killed, the same command goes on, and nothing that was finished is run again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.hydra_plugins.ray_tune_sweeper import tasks
from tests.hydra_plugins.ray_tune_sweeper.conftest import Multirun

from hydra_plugins.ray_tune_sweeper import Status
from hydra_plugins.ray_tune_sweeper._errors import SweepChanged, SweepInUse
from hydra_plugins.ray_tune_sweeper._identity import locked
from hydra_plugins.ray_tune_sweeper._journal import ENDED, Journal, Trial

ROOT = Path(__file__).resolve().parents[3]
JOURNAL = Path("multirun/app/.sweep/journal.jsonl")
APP = """
import hydra
from hydra.core.config_store import ConfigStore
from tests.hydra_plugins.ray_tune_sweeper import tasks

ConfigStore.instance().store("app", tasks.Config)

@hydra.main(config_path=None, config_name="app", version_base="1.3")
def main(cfg):
    return getattr(tasks, cfg.task)(cfg)

main()
"""
OVERRIDES = (
    "task=counting", "x=interval(0, 1)", "steps=15", "seconds=0.05", "hydra.sweeper.trials=8",
    "hydra.sweeper.checkpoint_seconds=0", "hydra.sweeper.cluster.cpus=2", "hydra.sweeper.scheduler.name=asha",
    "hydra.sweeper.scheduler.max_steps=15", "hydra.sweeper.scheduler.reduction_factor=2",
)  # fmt: skip

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts the application in a process of its own; what is left of it ends with the test."""
    monkeypatch.chdir(tmp_path)
    Path("app.py").write_text(APP)
    processes: list[subprocess.Popen[str]] = []

    def start(*overrides: str) -> subprocess.Popen[str]:
        command = [sys.executable, "app.py", "-m", "hydra/sweeper=ray_tune", *(overrides or OVERRIDES)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < give_up
        time.sleep(0.02)


def _lines() -> int:
    return JOURNAL.read_bytes().count(b"\n") if JOURNAL.exists() else 0


def _trials() -> list[Trial]:
    journal = Journal(JOURNAL)
    journal.close()
    return journal.trials


def _check_whole(trials: list[Trial], counted: str) -> None:
    assert [trial.job for trial in trials] == list(range(8))
    assert {trial.status for trial in trials} == {Status.finished, Status.pruned}
    for trial in trials:
        steps = [report.step for report in trial.reports]
        assert steps == list(range(1, len(steps) + 1))
        assert (trial.status is Status.finished) == (trial.steps == 15)
        assert Path(f"multirun/app/{trial.job}").is_dir()
    assert not Path("multirun/app/8").exists()
    # every report was checkpointed, so that a kill costs a trial a few steps: those that the driver had not heard of
    steps_run = Counter(tuple(line.split()[:2]) for line in counted.splitlines())
    assert sum(times - 1 for times in steps_run.values()) <= 4 * 2 * 3


@pytest.mark.kills
def test_driver_killed_at_any_moment(start: Start) -> None:
    moments = random.Random(6)
    ended: dict[int, Trial] = {}
    params: list[Any] = []
    for _ in range(2):
        until = _lines() + moments.randint(5, 50)
        process = start()
        _wait_for(lambda until=until: _lines() >= until, process)  # type: ignore[misc]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        counted = Path("counted").read_text()
        trials = _trials()
        assert [trial.params for trial in trials][: len(params)] == params
        params = [trial.params for trial in trials]
        for job, before in ended.items():
            assert trials[job] == before
        ended = {trial.job: trial for trial in trials if trial.status in ENDED}
    process = start()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    for line in Path("counted").read_text().removeprefix(counted).splitlines():
        assert int(line.split()[0]) not in ended
    _check_whole(_trials(), Path("counted").read_text())
    assert "8/8 trials done" in output
    before = Path("counted").read_text()
    output, _ = start().communicate(timeout=120)
    assert Path("counted").read_text() == before
    assert "lowest objective" in output


@pytest.mark.campaign
def test_ray_killed(start: Start) -> None:
    process = start()
    _wait_for(lambda: _lines() >= 25, process)
    for child in psutil.Process(process.pid).children():
        if child.name() in ("raylet", "gcs_server"):
            child.kill()
    output, _ = process.communicate(timeout=120)
    process = start()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    _check_whole(_trials(), Path("counted").read_text())


@pytest.mark.kills
def test_signals_stop_all(start: Start) -> None:
    told = "+hydra.sweeper.callbacks.told._target_=tests.hydra_plugins.ray_tune_sweeper.tasks.Told"
    # Python ends itself by SIGINT, or with 130 where the signal reaches a thread of Ray's that is slower than its exit
    for number, codes in ((signal.SIGINT, (-signal.SIGINT, 130)), (signal.SIGTERM, (143,))):
        until = _lines() + 20
        process = start(*OVERRIDES, told)
        _wait_for(lambda until=until: _lines() >= until, process)  # type: ignore[misc]
        family = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, number)
        output, _ = process.communicate(timeout=60)
        assert process.returncode in codes, output
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive
        assert Path("told").read_text() == "interrupted"
    process = start(*OVERRIDES, told)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    _check_whole(_trials(), Path("counted").read_text())
    assert Path("told").read_text() == "ended"


def test_worker_killed(multirun: Multirun) -> None:
    sweep = multirun(tasks.mortal, "x=0.1,0.2", "steps=6", "hydra.sweeper.checkpoint_seconds=0")
    assert [trial.status for trial in sweep.trials] == [Status.finished] * 2
    for trial in sweep.trials:
        counted = [int(line.split()[1]) for line in _counted(trial.job)]
        # it died in its fourth step, and went on from the checkpoint of the third
        assert counted == [1, 2, 3, 4, 4, 5, 6]
        assert [report.step for report in trial.reports] == [1, 2, 3, 4, 5, 6]


def _counted(job: int) -> list[str]:
    return [line for line in Path("counted").read_text().splitlines() if line.split()[0] == str(job)]


def test_target_is_raised(multirun: Multirun) -> None:
    first = multirun(tasks.quadratic, "x=interval(0, 1)", "hydra.sweeper.trials=2")
    second = multirun(tasks.quadratic, "x=interval(0, 1)", "hydra.sweeper.trials=4")
    assert second.is_resumed
    assert [trial.params for trial in second.trials[:2]] == [trial.params for trial in first.trials]
    assert sorted(Path("starts").read_text().split()) == ["0", "1", "2", "3"]
    table = (second.directory / "trials.parquet").stat().st_mtime
    third = multirun(tasks.quadratic, "x=interval(0, 1)", "hydra.sweeper.trials=3")
    assert len(third.trials) == 4
    assert (second.directory / "trials.parquet").stat().st_mtime >= table


def test_old_sweep_is_set_aside(multirun: Multirun) -> None:
    multirun(tasks.quadratic, "x=0.1,0.2")
    sweep = multirun(tasks.quadratic, "x=0.3,0.4", "hydra.sweeper.resume=never")
    assert [trial.params["x"] for trial in sweep.trials] in (["0.3", "0.4"], ["0.4", "0.3"])
    old = Journal(Path("multirun/app.1/.sweep/journal.jsonl"))
    old.close()
    assert sorted(str(trial.params["x"]) for trial in old.trials) == ["0.1", "0.2"]
    assert Path("multirun/app.1/0").is_dir()


@pytest.mark.parametrize(
    ("overrides", "difference"),
    [
        (["x=0.1,0.3"], "  - search x: choice(0.1,0.2)\n  + search x: choice(0.1,0.3)"),
        (["x=0.1,0.2", "y=0.1,0.2"], "  - y: 0.5\n  + search y: choice(0.1,0.2)"),
        (["x=0.1,0.2", "steps=4"], "  - steps: 3\n  + steps: 4"),
        (["x=0.1,0.2", "hydra.sweeper.objective.mode=max"], "  - objective: min objective\n  + objective: max obj"),
    ],
)
def test_changed_sweep_is_refused(multirun: Multirun, overrides: list[str], difference: str) -> None:
    state = Path("multirun/app/.sweep")
    state.mkdir(parents=True)
    kept = {"search x": "choice(0.1,0.2)", "objective": "min objective", "y": "0.5", "kind": "a"}
    kept |= {"steps": "3", "seconds": "0.0", "how": "''", "task": "quadratic"}
    (state / "identity.yaml").write_text(json.dumps(kept))
    journal = Journal(state / "journal.jsonl")
    journal.draw({"x": "0.1"})
    journal.close()
    before = {path: path.read_bytes() for path in state.iterdir()}
    with pytest.raises(SweepChanged) as caught:
        multirun(tasks.quadratic, *overrides)
    assert difference in str(caught.value)
    assert "hydra.sweeper.resume=never" in str(caught.value)
    assert {path: path.read_bytes() for path in state.iterdir()} == before


def test_keys_that_may_differ(multirun: Multirun) -> None:
    ignore = "hydra.sweeper.ignore=[seconds]"
    multirun(tasks.quadratic, "x=0.1,0.2", ignore)
    assert multirun(tasks.quadratic, "x=0.1,0.2", ignore, "seconds=0.001").is_resumed


def test_one_process_at_a_time(multirun: Multirun) -> None:
    with (
        locked(Path("multirun/app"), "app"),
        pytest.raises(SweepInUse, match=f"the sweep 'app' in .* is run by process {os.getpid()}"),
    ):
        multirun(tasks.quadratic, "x=0.1,0.2")
