"""What could not be sent to the tracking store, kept on disk in the order of logging.

A spool is a directory with ``operations.jsonl``: a header line that says to which run the operations belong, then one
operation a line, appended and synced to disk before anything else happens. ``sent`` holds the offset up to which
lines have been delivered. A line that was cut off because the process was killed while writing it is left out.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from heldout.tracking.errors import RunInUse

log = logging.getLogger(__name__)

OPERATIONS_FILE = "operations.jsonl"
SENT_FILE = "sent"
LOCK_FILE = "lock"
FILES_FOLDER = "files"
FORMAT = 1

Operation = dict[str, Any]


@dataclass(frozen=True)
class Destination:
    """The run that operations are meant for."""

    # address of the tracking store, without password
    uri: str
    experiment_id: str
    run_id: str


class Spool:
    """The operations of one run that wait for delivery.

    Args:
        directory: made when first written to; files that operations speak of lie in its folder `files`.
        destination: written into the header of a new spool.
    """

    def __init__(self, directory: Path, destination: Destination) -> None:
        self.directory = directory
        self.destination = destination
        self._path = directory / OPERATIONS_FILE
        self._sent = self._read_sent()
        self._end = self._path.stat().st_size if self._path.exists() else 0

    @property
    def files(self) -> Path:
        """Folder for copies of files that wait with their operations."""
        return self.directory / FILES_FOLDER

    @property
    def empty(self) -> bool:
        return self._sent >= self._end

    def append(self, operations: Sequence[Operation]) -> None:
        """Writes operations behind those that wait already; they are on disk when this returns."""
        self.directory.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(operation) for operation in operations]
        with self._path.open("ab") as stream:
            size = _cut_torn_line(self._path, stream.tell())
            if size < self._sent:
                self.acknowledge(size)
            if size == 0:
                lines.insert(0, json.dumps({"format": FORMAT, **asdict(self.destination)}))
            stream.write("".join(line + "\n" for line in lines).encode())
            stream.flush()
            os.fsync(stream.fileno())
        self._end = self._path.stat().st_size

    def pending(self) -> Iterator[tuple[int, Operation]]:
        """The operations not yet delivered, each with the offset to acknowledge once it is."""
        if not self._path.exists():
            return
        with self._path.open("rb") as stream:
            stream.readline()  # the header
            stream.seek(max(stream.tell(), self._sent))
            while line := stream.readline():
                try:
                    operation = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    operation = None
                if isinstance(operation, dict):
                    yield stream.tell(), operation
                else:
                    log.warning("%s: left out a line that was not written completely", self._path)

    def acknowledge(self, offset: int) -> None:
        """Notes that everything before `offset` has been delivered."""
        # a loss of this note is harmless: delivering an operation again changes nothing
        temporary = self.directory / f".{SENT_FILE}.{os.getpid()}"
        temporary.write_text(str(offset))
        temporary.replace(self.directory / SENT_FILE)
        self._sent = offset

    def acknowledge_all(self) -> None:
        """Notes that nothing waits any more."""
        self.acknowledge(self._end)

    def lock(self) -> None:
        """Keeps other processes from this spool until `unlock`, or until this process ends.

        Raises:
            RunInUse: another process has it.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.directory / LOCK_FILE, timeout=0)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise RunInUse(
                f"run {self.destination.run_id} is in use by another process ({self.directory}). Wait until it ends."
            ) from error

    def unlock(self) -> None:
        self._lock.release()

    def remove(self) -> None:
        """Deletes the directory."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _read_sent(self) -> int:
        try:
            return int((self.directory / SENT_FILE).read_text())
        except (FileNotFoundError, ValueError):
            return 0


def read_destination(directory: Path) -> Destination | None:
    """For which run the spool in `directory` is; None when its header cannot be read."""
    try:
        with (directory / OPERATIONS_FILE).open("rb") as stream:
            header = json.loads(stream.readline())
        return Destination(uri=header["uri"], experiment_id=header["experiment_id"], run_id=header["run_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find_spools(root: Path) -> list[Path]:
    """Directories of all spools at or below `root`, in order of their names."""
    return sorted(path.parent for path in root.rglob(OPERATIONS_FILE))


def _cut_torn_line(path: Path, size: int) -> int:
    """Shortens the file to the end of its last complete line; returns its size then."""
    if size == 0:
        return 0
    with path.open("rb+") as stream:
        stream.seek(size - 1)
        if stream.read(1) == b"\n":
            return size
        stream.seek(0)
        return stream.truncate(stream.read().rfind(b"\n") + 1)
