"""A process that has torch imported, and forks one child a job.

Importing torch, Lightning and MLflow takes longer than training a small net. `heldout repro` therefore keeps one
process that has imported them (and nothing of Heldout, so that edited code is never stale) and lets every heavy stage
run in a fork of it. The stage's own process only hands over its arguments, folder, environment and open files, and
takes the exit code. Without such a process, or where forking is not safe, stages run by themselves.
"""

from __future__ import annotations

import array
import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

ADDRESS_VARIABLE = "HELDOUT_WARM"
PRELOADED = (
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "plotly.graph_objects",
    "scipy.stats",
    "statsmodels.stats.proportion",
    "torch",
    "pytorch_lightning",
    "torchmetrics.classification",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.neighbors",
    "skops.io",
    "mlflow",
    "mlflow.pyfunc.loaders.code_model",
    "mlflow.utils.requirements_utils",
    "mlflow.store.tracking.sqlalchemy_store",
)
FORWARDED_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# between the beginning of a job and the news of it there is less
EARLY_SIGNAL_SECONDS = 0.5
STANDARD_FILES = 3
LENGTH_BYTES = 8


def can_fork() -> bool:
    """Whether a process with these libraries imported may be forked: on Linux."""
    return sys.platform == "linux"


def forward(arguments: Sequence[str]) -> int | None:
    """Runs `python ARGUMENTS` in a fork of the warm process; None when there is none.

    The child gets this process's standard files, folder and environment; SIGINT and SIGTERM are passed on.
    """
    address = os.environ.get(ADDRESS_VARIABLE)
    if not address or not can_fork():
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(address)
    except OSError:
        return None
    environment = {k: v for k, v in os.environ.items() if k != ADDRESS_VARIABLE}
    job = {"arguments": list(arguments), "folder": str(Path.cwd()), "environment": environment}
    with connection:
        _send_job(connection, json.dumps(job).encode())
        return _await(connection)


def _send_job(connection: socket.socket, message: bytes) -> None:
    files = array.array("i", range(STANDARD_FILES))
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)]
    connection.sendmsg([len(message).to_bytes(LENGTH_BYTES, "big")], ancillary)
    connection.sendall(message)


def _await(connection: socket.socket) -> int:
    child = 0
    early: list[int] = []

    def pass_on(number: int, _: FrameType | None = None) -> None:
        if not child:
            early.append(number)
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    previous = {number: signal.signal(number, pass_on) for number in FORWARDED_SIGNALS}
    try:
        while not select.select([connection], [], [], EARLY_SIGNAL_SECONDS)[0] and not early:
            pass
        if select.select([connection], [], [], EARLY_SIGNAL_SECONDS)[0]:
            answers = connection.makefile("r")
            child = int(answers.readline() or 0)
            for number in early:
                pass_on(number)
            # an empty answer: the warm process itself was killed, and the job with it
            return int(answers.readline() or 1)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    # the job has not begun, and will not when nobody waits for it: this process alone is to end
    signal.raise_signal(early[0])
    # not above: this module stays in the warm process, and whatever it imports would be stale there
    from heldout.errors import SIGNALLED

    return SIGNALLED + early[0]


def wake() -> None:
    """Has the warm process, where there is to be one, start importing: heavy stages will follow."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(os.environ.get(ADDRESS_VARIABLE, ""))


@contextlib.contextmanager
def server() -> Iterator[dict[str, str]]:
    """Yields the environment under which `forward` finds a warm process, and ends that process afterwards.

    It is started by the first stage that asks, so that a pipeline with nothing to do starts none. Where this process
    has such an environment itself, that one serves.
    """
    given = os.environ.get(ADDRESS_VARIABLE)
    if not can_fork() or (given and Path(given).exists()):
        yield {ADDRESS_VARIABLE: given} if given else {}
        return
    with tempfile.TemporaryDirectory(prefix="heldout-") as folder:
        address = str(Path(folder) / "warm")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(address)
        listener.listen()
        started: list[subprocess.Popen[bytes]] = []
        stop, stopped = os.pipe()
        thread = threading.Thread(target=_start_when_asked, args=(listener, stop, started), daemon=True)
        thread.start()
        try:
            yield {ADDRESS_VARIABLE: address}
        finally:
            os.close(stopped)
            thread.join()
            os.close(stop)
            listener.close()
            for process in started:
                process.terminate()
                process.wait()
                assert process.stdin is not None
                process.stdin.close()


def _start_when_asked(listener: socket.socket, stop: int, started: list[subprocess.Popen[bytes]]) -> None:
    waiting: list[int] = [listener.fileno(), stop]
    readable, _, _ = select.select(waiting, [], [])
    if stop in readable:
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "heldout.warm", str(listener.fileno())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[listener.fileno()],
        # an interrupt at the terminal is for the stages; this process ends with its parent
        start_new_session=True,
        # a thread started before the fork would be missing after it
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    started.append(process)


def serve(listener: socket.socket) -> None:
    """Imports, while jobs that are early wait in the socket's queue; then forks one child a connection."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    for module in PRELOADED:
        importlib.import_module(module)
    with contextlib.suppress(AttributeError):
        # MLflow's table of installed packages takes most of a second to make; logging a model needs it
        sys.modules["mlflow.utils.requirements_utils"]._init_packages_to_modules_map()
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            os._exit(_supervise(connection))
        connection.close()
        _reap()


def _exit_with_parent() -> None:
    # standard input is a pipe from the process that started this one: it ends when that process does
    sys.stdin.buffer.read()
    os._exit(0)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _supervise(connection: socket.socket) -> int:
    """In the first fork: starts the job in a second one, tells its process id, waits, tells its exit code."""
    header, ancillary, _, _ = connection.recvmsg(LENGTH_BYTES, socket.CMSG_SPACE(STANDARD_FILES * 4))
    if not header:  # only woken
        return 0
    files = array.array("i")
    for _, _, data in ancillary:
        files.frombytes(data)
    message = b""
    while len(message) < int.from_bytes(header, "big"):
        part = connection.recv(1 << 16)
        if not part:  # the caller was killed while it asked
            return 0
        message += part
    child = os.fork()
    if child == 0:
        connection.close()
        os._exit(_job(json.loads(message), list(files)))
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(f"{child}\n".encode())
    waiting: list[int] = [os.pidfd_open(child), connection.fileno()]
    readable, _, _ = select.select(waiting, [], [])
    if connection.fileno() in readable:
        # the caller has nothing more to say, so it is gone: it was killed, and its job ends with it
        os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(f"{code if code >= 0 else 128 - code}\n".encode())
    return 0


def _job(job: dict[str, object], files: list[int]) -> int:
    for target, source in enumerate(files):
        os.dup2(source, target)
        os.close(source)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(job["environment"])  # type: ignore[call-overload]
    os.chdir(str(job["folder"]))
    # as `python -m` does
    sys.path[0] = str(Path.cwd())
    sys.argv = list(job["arguments"])[1:]  # type: ignore[call-overload]
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        code: object = 0
    except SystemExit as exit_:
        code = exit_.code or 0
    # as the interpreter does: whatever it was ends up on standard error
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else 1


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
