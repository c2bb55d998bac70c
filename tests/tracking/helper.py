"""A process with MLflow imported, that forks what tests want started within a moment.

Commands come on standard input, a line each, and each is answered by a line: `start`, `kill`, `freeze` and `thaw` an
MLflow server; `guard FOLDER` starts one that asks for a login; `first-use FOLDER` begins a run in each of four
processes at once. The server is what `mlflow server` runs: uvicorn with MLflow's application.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

PROCESSES = 4
ADMIN_PASSWORD = "long-enough-for-a-test"
PRELOADED = ("uvicorn", "mlflow.server.fastapi_app", "mlflow.store.tracking.sqlalchemy_store")


class Helper:
    def __init__(self, port: int) -> None:
        self._port = port
        self._child = 0

    def start(self) -> int:
        # bound here, so that the socket listens before the answer
        listener = socket.create_server(("127.0.0.1", self._port))
        self._child = fork(lambda: serve(listener))
        listener.close()
        return 0

    def guard(self, folder: str) -> int:
        listener = socket.create_server(("127.0.0.1", self._port))
        self._child = fork(lambda: serve_guarded(listener, Path(folder)))
        listener.close()
        return 0

    def kill(self) -> int:
        os.kill(self._child, signal.SIGKILL)
        os.waitpid(self._child, 0)
        return 0

    def freeze(self) -> int:
        os.kill(self._child, signal.SIGSTOP)
        return 0

    def thaw(self) -> int:
        os.kill(self._child, signal.SIGCONT)
        return 0

    def first_use(self, folder: str) -> int:
        """How many of the processes failed."""
        children = [fork(lambda number=number: begin_run(Path(folder), number)) for number in range(PROCESSES)]
        return sum(os.waitpid(child, 0)[1] != 0 for child in children)


def fork(job: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            job()
            code = 0
        except BaseException:  # noqa: BLE001 (said below, and by the exit code)
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


def serve(listener: socket.socket) -> None:
    import uvicorn
    from mlflow.server.fastapi_app import app

    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])


def serve_guarded(listener: socket.socket, folder: Path) -> None:
    """What `mlflow server --app-name basic-auth` runs; its users are `admin` and nobody else."""
    settings = folder / "auth.ini"
    settings.write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = sqlite:///{folder}/auth.db\n"
        "admin_username = admin\n"
        f"admin_password = {ADMIN_PASSWORD}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    os.environ |= {
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of a test",
    }
    import uvicorn
    from mlflow.server.auth import create_app

    uvicorn.Server(uvicorn.Config(create_app(), log_level="error")).run(sockets=[listener])


def begin_run(folder: Path, number: int) -> None:
    from heldout.config.tracking import TrackingConfig
    from heldout.tracking import connect

    with connect(TrackingConfig(), folder).start_run(f"run-{number}", system_metrics=False) as run:
        run.log_metrics({"loss": 1.0}, 1)


def main(folder: Path, port: int) -> None:
    os.environ.update(
        {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder}/server.db",
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder / "artifacts"),
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        }
    )
    for module in PRELOADED:
        importlib.import_module(module)
    helper = Helper(port)
    for line in sys.stdin:
        command, *arguments = line.split()
        answer = getattr(helper, command.replace("-", "_"))(*arguments)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
