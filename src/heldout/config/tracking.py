"""Schema of the `tracking` group."""

from __future__ import annotations

from dataclasses import dataclass, field


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
