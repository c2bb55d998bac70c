"""Where the runs are kept: choosing, initialising and opening an MLflow tracking store.

MLflow is imported here only when a store is opened: its import takes seconds.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from heldout.config.tracking import DATABASE_FILE, SQLITE_PREFIX, URI_VARIABLE, address_problem, chosen_address
from heldout.tracking.errors import TrackingAddressError, TrackingAway, TrackingUnavailable

if TYPE_CHECKING:
    from mlflow import MlflowClient

ARTIFACTS_FOLDER = "mlartifacts"

PROBE_SECONDS = 5.0
INITIALISE_SECONDS = 120.0
HIDDEN = "***"
OK, NOT_FOUND = 200, 404


def resolve_uri(uri: str | None, directory: Path) -> str:
    """The address of the store: as given, else `MLFLOW_TRACKING_URI`, else a SQLite file in `directory`.

    Relative SQLite files are taken from `directory`; the address returned is absolute.

    Raises:
        TrackingAddressError: it names a folder of files, which MLflow 3 no longer writes to.
    """
    if problem := address_problem(uri):
        raise TrackingAddressError(problem)
    chosen, _ = chosen_address(uri)
    file = sqlite_file(chosen)
    return chosen if file is None else chosen.replace(str(file), str((directory / file).resolve()), 1)


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite store; None for every other store, one in memory included."""
    if not uri.startswith(SQLITE_PREFIX):
        return None
    path = uri.removeprefix(SQLITE_PREFIX).split("?")[0]
    return Path(path) if path and path != ":memory:" else None


def is_server(uri: str) -> bool:
    """Whether the store is reached by HTTP."""
    return uri.startswith(("http://", "https://"))


def hide_password(uri: str) -> str:
    """The address with its password, if it has one, replaced by stars: for files and messages."""
    password = urlsplit(uri).password
    return uri if password is None else uri.replace(f":{password}@", f":{HIDDEN}@", 1)


def open_store(uri: str, request_seconds: int) -> MlflowClient:
    """A client of the store; a new SQLite file is initialised first, by one process at a time.

    Raises:
        TrackingUnavailable: the server does not answer within about five seconds, or the database cannot be opened.
    """
    prepare_environment(request_seconds)
    if is_server(uri):
        probe(uri)
    file = sqlite_file(uri)
    try:
        if file is None:
            return _client(uri)
        with _locked(file):
            if not file.exists():
                _initialise(file)
            return _client(uri)
    except TrackingUnavailable:
        raise
    # a database driver, a plugin, MLflow and the file system each have their own exceptions
    except Exception as error:
        raise TrackingUnavailable(_explain(uri, error)) from error


def prepare_environment(request_seconds: int) -> None:
    """Settings of MLflow that it reads from the environment; what the user has set there stays."""
    defaults = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        # by default a request is repeated for minutes; here the outbox repeats it, and writes to disk meanwhile
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(request_seconds),
        # a server over S3 would send us to the address of its S3 service, which it alone may be able to reach
        "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
        "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def probe(uri: str) -> None:
    """Asks an MLflow server whether it is there.

    Raises:
        TrackingAway: nothing answers at the address.
        TrackingUnavailable: what answers is no MLflow server.
    """
    import requests

    insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("1", "true")
    verify = not insecure and (os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True)
    shown = hide_password(uri)
    try:
        answer = requests.get(f"{uri.rstrip('/')}/health", timeout=PROBE_SECONDS, verify=verify)
    except requests.RequestException as error:
        raise TrackingAway(
            f"the MLflow server at {shown} does not answer ({type(error).__name__}). Start it (mlflow server), correct "
            f"tracking.uri or {URI_VARIABLE}, or leave both out to use a local {DATABASE_FILE}."
        ) from error
    if answer.status_code == NOT_FOUND:
        raise TrackingUnavailable(
            f"what answers at {shown} is no MLflow server (no /health there). Check the port and the path of "
            f"tracking.uri or {URI_VARIABLE}."
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without MLflow's and Alembic's remarks below a warning."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def artifact_location(uri: str, experiment: str) -> str | None:
    """Where an experiment's artifacts go: beside a SQLite file; None where the store decides."""
    file = sqlite_file(uri)
    if file is None:
        return None
    folder = re.sub(r"[^\w.-]+", "-", experiment).strip(".") or "experiment"
    return (file.parent / ARTIFACTS_FOLDER / folder).as_uri()


def _client(uri: str) -> MlflowClient:
    from mlflow import MlflowClient

    # the outbox says what goes wrong, once; MLflow would print the whole trace of each attempt
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    return MlflowClient(tracking_uri=uri)


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{file}.lock", timeout=INITIALISE_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise TrackingUnavailable(
            f"{file} is being initialised by another process for more than {INITIALISE_SECONDS:.0f} seconds. If none "
            f"is, delete {lock.lock_file}."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _initialise(file: Path) -> None:
    """Makes the database under another name, so that a process killed meanwhile leaves none half-made."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    temporary = file.with_name(f"{file.name}.new")
    for left_behind in (temporary, temporary.with_name(f"{temporary.name}-journal")):
        left_behind.unlink(missing_ok=True)
    artifacts = (file.parent / ARTIFACTS_FOLDER).as_uri()
    with quiet():
        store = SqlAlchemyStore(SQLITE_PREFIX + str(temporary), artifacts)  # type: ignore[no-untyped-call]
    store.engine.dispose()
    temporary.replace(file)


def _explain(uri: str, error: Exception) -> str:
    shown = hide_password(uri)
    text = str(error)
    if "out-of-date database schema" in text:
        return (
            f"the database {shown} was written by another version of MLflow. Make a copy of it, then run "
            f"`mlflow db upgrade {shown}`."
        )
    return (
        f"the tracking store {shown} cannot be opened ({text.splitlines()[0][:300] if text else type(error).__name__})."
        f" Expected a database, such as {SQLITE_PREFIX}{DATABASE_FILE}, or a server, such as http://localhost:5000; "
        f"correct tracking.uri or {URI_VARIABLE}."
    )
