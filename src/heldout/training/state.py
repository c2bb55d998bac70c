"""Where an unfinished configuration keeps what the next start goes on from.

Below `.heldout/state/<key>`: one folder a fit with its checkpoint and, once fitted, its record. The key is a hash of
config, data and code, so that only the very same work is ever continued. The folder is removed when all is done.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from heldout.record import RECORD_FILE
from heldout.training import stop
from heldout.training.errors import AlreadyRunning

STATE_ROOT = Path(".heldout/state")
RUNS_FILE = "mlflow.json"
LOOK_SECONDS = 0.5
START_FILE = "start"


class RunState:
    """The state folder of one configuration."""

    def __init__(self, key: str, root: Path = STATE_ROOT) -> None:
        self.folder = root / key

    @contextmanager
    def locked(self, patience: float = 0.0) -> Iterator[None]:
        """Holds the folder for this process.

        Args:
            patience: seconds to wait for another process to let go of it.

        Raises:
            AlreadyRunning: another process trains the same configuration.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        # beside the folder, which is removed while the lock is held
        path = self.folder.with_suffix(".lock")
        with path.open("a+") as file:
            give_up = time.monotonic() + patience
            while not _is_taken(file):
                if time.monotonic() >= give_up:
                    file.seek(0)
                    raise AlreadyRunning(
                        f"this configuration is being trained by process {file.read() or 'unknown'}; "
                        "expected it to be free. Wait for that process or stop it, then run the same command again."
                    )
                stop.obey()
                time.sleep(LOOK_SECONDS)
            file.truncate(0)
            # the folder may be shared by several machines
            file.write(f"{os.getpid()} on {os.uname().nodename}")
            file.flush()
            yield

    def fit_folder(self, fit: str) -> Path:
        folder = self.folder / fit
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def record_folder(self, fit: str) -> Path:
        return self.fit_folder(fit) / "record"

    def is_done(self, fit: str) -> bool:
        """Whether this fit ended, well or not, in an earlier start."""
        return (self.record_folder(fit) / RECORD_FILE).is_file()

    def run_id(self, name: str) -> str | None:
        """The MLflow run that an earlier start began under this name."""
        value: str | None = self._runs().get(name)
        return value

    def token(self, name: str) -> str:
        """Names the run that this state has under `name`, before its id is known; the same until all is done.

        A process that is killed between the creation of a run and the note of its id leaves a run that is found by it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / START_FILE
        if not path.is_file():
            partial = path.with_suffix(".partial")
            partial.write_text(uuid.uuid4().hex, encoding="utf-8")
            partial.replace(path)
        return f"{path.read_text(encoding='utf-8')}/{name}"

    def remember_run(self, name: str, run_id: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / RUNS_FILE
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps({**self._runs(), name: run_id}), encoding="utf-8")
        partial.replace(path)

    def _runs(self) -> dict[str, Any]:
        path = self.folder / RUNS_FILE
        runs: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return runs

    def deliver(self, fits: Sequence[str], out: Path) -> list[Path]:
        """Copies the records to `out`, one folder a fit, and removes the state."""
        records = []
        for fit in fits:
            target = out / fit
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(self.record_folder(fit), target)
            records.append(target)
        self.discard()
        return records

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
