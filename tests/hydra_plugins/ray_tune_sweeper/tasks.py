"""Task functions that are run as trials; workers import them from here."""

from __future__ import annotations

import ctypes
import math
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra_plugins import ray_tune_sweeper


@dataclass
class Config:
    x: float = 0.5
    y: float = 0.5
    kind: str = "a"
    steps: int = 3
    seconds: float = 0.0
    how: str = ""
    task: str = "quadratic"


def quadratic(cfg: Any) -> None:
    """Reports `steps` times; the lower, the nearer x is to 0.3 and y to 0.7."""
    _count_start()
    for step in range(1, cfg.steps + 1):
        time.sleep(cfg.seconds)
        ray_tune_sweeper.report({"objective": (cfg.x - 0.3) ** 2 + (cfg.y - 0.7) ** 2 + 1 / step})


def returning(cfg: Any) -> float:
    _count_start()
    return float(cfg.x)


def counting(cfg: Any) -> None:
    """Counts to `steps`, from where its checkpoint was; what it has counted, and from which trials, is its state."""
    info = ray_tune_sweeper.trial()
    assert info is not None
    count, history = 0, []
    if info.checkpoint is not None:
        text = (info.checkpoint / "state").read_text()
        count, history = int(text.split()[0]), text.split()[1:]
    while count < cfg.steps:
        time.sleep(cfg.seconds)
        count += 1
        history = [*history, str(info.job)]
        state = " ".join([str(count), *history])

        def save(folder: Path, state: str = state) -> None:
            (folder / "state").write_text(state)

        with Path("counted").open("a") as file:
            file.write(f"{info.job} {count} {cfg.x}\n")
        ray_tune_sweeper.report({"objective": cfg.x * count, "step": count}, save=save)
    Path(f"history-{info.job}").write_text(" ".join(history))


def _count_start() -> None:
    info = ray_tune_sweeper.trial()
    if info is not None:
        with Path("starts").open("a") as file:
            file.write(f"{info.job}\n")


def resourceful(cfg: Any) -> None:
    """Like `counting`, the slower the smaller x is, and notes the CPUs it has."""
    info = ray_tune_sweeper.trial()
    assert info is not None
    count = int((info.checkpoint / "state").read_text()) if info.checkpoint is not None else 0
    while count < cfg.steps:
        time.sleep(cfg.seconds * (1 - cfg.x))
        count += 1
        with Path("counted").open("a") as file:
            file.write(f"{info.job} {count} {info.resources['CPU']}\n")

        def save(folder: Path, count: int = count) -> None:
            (folder / "state").write_text(str(count))

        ray_tune_sweeper.report({"objective": cfg.x, "step": count}, save=save)


def failing(cfg: Any) -> object:
    """Ends in the way that `how` says."""
    info = ray_tune_sweeper.trial()
    assert info is not None
    with Path("starts").open("a") as file:
        file.write(f"{cfg.how}\n")
    if cfg.how == "raise":
        raise ValueError(f"x is {cfg.x}")
    if cfg.how == "exit":
        sys.exit(3)
    if cfg.how == "os_exit":
        os._exit(3)
    if cfg.how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if cfg.how == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if cfg.how == "other_died":
        raise ray_tune_sweeper.WorkerDied("worker 2 is gone")
    if cfg.how == "nan":
        ray_tune_sweeper.report({"objective": math.nan})
    if cfg.how == "other":
        ray_tune_sweeper.report({"loss": 1.0, "step": 1})
    if cfg.how in ("fine", "none"):
        ray_tune_sweeper.report({"objective": 0.25})
    if cfg.how == "hang":
        while True:
            time.sleep(0.1)
    if cfg.how == "hang_in_c":
        # holds the interpreter lock
        ctypes.PyDLL(None).sleep(1000)
    return {"number": 0.125, "infinite": math.inf, "fine": "a word"}.get(cfg.how)


def swallowing(cfg: Any) -> None:
    """Takes every exception for a hiccup."""
    for step in range(cfg.steps):
        time.sleep(0.05)
        try:
            ray_tune_sweeper.report({"objective": cfg.x + 1 / (step + 1)})
        except Exception:  # noqa: BLE001
            Path(f"swallowed-{cfg.x}").touch()


def mortal(cfg: Any) -> None:
    """Like `counting`, and is killed in its fourth step of the first start."""
    info = ray_tune_sweeper.trial()
    assert info is not None
    count = int((info.checkpoint / "state").read_text()) if info.checkpoint is not None else 0
    while count < cfg.steps:
        count += 1
        with Path("counted").open("a") as file:
            file.write(f"{info.job} {count}\n")
        if count == 4 and info.checkpoint is None:
            os.kill(os.getpid(), signal.SIGKILL)

        def save(folder: Path, count: int = count) -> None:
            (folder / "state").write_text(str(count))

        ray_tune_sweeper.report({"objective": cfg.x, "step": count}, save=save)


class Told(ray_tune_sweeper.SweepCallback):
    """Notes how a sweep ended."""

    def on_sweep_interrupted(self, sweep: Any) -> None:
        Path("told").write_text("interrupted")

    def on_sweep_end(self, sweep: Any) -> None:
        Path("told").write_text("ended")
