"""How the sweep goes: a live table on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from hydra_plugins.ray_tune_sweeper._journal import ENDED, Status, Trial
from hydra_plugins.ray_tune_sweeper._sweep import Sweep

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_TABLES = 0.5
BEST_SHOWN = 5


class Progress:
    """Shows a sweep while it runs; a context manager."""

    def __init__(self, sweep: Sweep, target: int) -> None:
        self._sweep = sweep
        self._target = target
        self._done_before = sweep.journal.count(*ENDED)
        self._seconds_before = sweep.journal.seconds
        self._last = 0.0
        self._live = _live()

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        self._last = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.update(self._table())
            self._live.stop()
        log.info("%s", self.line())

    def update(self) -> None:
        """Call often; shows something only when it is time to."""
        now = time.monotonic()
        if now - self._last < (SECONDS_BETWEEN_LINES if self._live is None else SECONDS_BETWEEN_TABLES):
            return
        self._last = now
        if self._live is None:
            log.info("%s", self.line())
        else:
            self._live.update(self._table())

    def line(self) -> str:
        """The sweep in one line."""
        journal, parts = self._sweep.journal, []
        parts.append(f"{journal.count(*ENDED)}/{self._target} trials done")
        parts += [f"{n} {s}" for s in (Status.running, Status.pruned, Status.failed) if (n := journal.count(s))]
        if best := self._best():
            parts.append(f"best {self._sweep.settings.objective.metric} {best.objective:.6g} (trial {best.job})")
        if (left := self._seconds_left()) is not None:
            parts.append(f"about {_duration(left)} to go")
        return f"{self._sweep.name}: {', '.join(parts)}"

    def _best(self) -> Trial | None:
        return next(iter(self._sweep.ranked()), None)

    def _seconds_left(self) -> float | None:
        journal = self._sweep.journal
        done = journal.count(*ENDED)
        here = done - self._done_before
        if here == 0 or done >= self._target:
            return None
        return (self._target - done) * (journal.seconds - self._seconds_before) / here

    def _table(self) -> Table:
        from rich.table import Table

        settings = self._sweep.settings
        table = Table(title=self.line(), title_justify="left", title_style="bold", box=None, pad_edge=False)
        for name in ("trial", "status", "step", settings.objective.metric, "values"):
            table.add_column(name, justify="left" if name in ("status", "values") else "right", overflow="fold")
        running = [trial for trial in self._sweep.trials if trial.status is Status.running]
        for trial in [*self._sweep.ranked()[:BEST_SHOWN], *running]:
            shown = "" if trial.objective is None else f"{trial.objective:.6g}"
            values = " ".join(f"{key}={_short(value)}" for key, value in trial.params.items())
            table.add_row(str(trial.job), str(trial.status), str(trial.steps), shown, values)
        return table


def _live() -> Live | None:
    try:
        from rich.console import Console
        from rich.live import Live
    except ImportError:  # rich is a nicety
        return None
    console = Console(stderr=True)
    return Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
