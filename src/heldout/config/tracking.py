"""Schema of the `tracking` group."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

DATABASE_FILE = "mlflow.db"
SQLITE_PREFIX = "sqlite:///"
URI_VARIABLE = "MLFLOW_TRACKING_URI"


@dataclass
class TrackingConfig:
    """Where MLflow keeps the runs, and how patiently they are sent there."""

    # an MLflow server (http://host:5000) or a database (sqlite:///mlflow.db); null takes MLFLOW_TRACKING_URI if that
    # is set, else mlflow.db in the working folder with its artifacts in mlartifacts beside it
    uri: str | None = None
    # experiment the runs belong to; runs nest below their parent only within one
    experiment: str = "heldout"
    # tags that every run gets
    tags: dict[str, str] = field(default_factory=dict)
    # longest time between the logging of a metric and its sending
    flush_seconds: float = 2.0
    # longest wait for the answer to one request; what takes longer is written to disk and tried again
    request_seconds: int = 15
    # longest wait for a server that is away, at the start of a run
    start_seconds: float = 60.0
    # longest wait at the end of a run; what is unsent then stays on disk for `heldout sync`
    close_seconds: float = 10.0
    # time between samples of CPU, memory and GPU; null takes none
    system_metrics_seconds: float | None = 10.0
    # log the model of each run as an MLflow model
    models: bool = True


def chosen_address(uri: str | None) -> tuple[str, str]:
    """The address of the store and the setting it comes from: as given, else by environment, else a local file."""
    if uri:
        return uri, "tracking.uri"
    return os.environ.get(URI_VARIABLE) or SQLITE_PREFIX + DATABASE_FILE, URI_VARIABLE


def address_problem(uri: str | None) -> str | None:
    """Why the chosen address cannot be a store: MLflow 3 writes to no folder of files; None when it can."""
    address, setting = chosen_address(uri)
    if urlsplit(address).scheme not in ("", "file") or address in ("databricks", "databricks-uc", "uc"):
        return None
    return (
        f"{setting}={address} is a folder; MLflow no longer keeps runs in folders such as ./mlruns. Expected a "
        f"database, such as {SQLITE_PREFIX}{DATABASE_FILE}, or a server, such as http://localhost:5000."
    )
