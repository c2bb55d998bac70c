"""Choosing and opening a tracking store."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from mlflow import MlflowClient

from heldout.config.tracking import TrackingConfig
from heldout.tracking import Tracking, connect, store
from heldout.tracking.errors import ExperimentError, TrackingAddressError, TrackingUnavailable
from heldout.tracking.store import hide_password, resolve_uri

from .conftest import Helper, Server, quick_config, timed


def test_several_processes_may_begin_with_no_database_at_once(helper: Helper, tmp_path: Path) -> None:
    assert helper.ask("first-use", str(tmp_path)) == 0
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("heldout")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.run_name for run in runs} == {f"run-{number}" for number in range(4)}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.metrics["loss"] for run in runs} == {1.0}
    locations = {experiment.artifact_location for experiment in client.search_experiments()}
    assert all(location.startswith((tmp_path / "mlartifacts").as_uri()) for location in locations)


def test_a_process_killed_while_initialising_leaves_nothing_half_made(tmp_path: Path, config: TrackingConfig) -> None:
    (tmp_path / "mlflow.db").unlink()
    (tmp_path / "mlflow.db.new").write_bytes(b"half")
    (tmp_path / "mlflow.db.new-journal").write_bytes(b"half")
    connect(config, tmp_path).start_run("run").finish()
    assert not (tmp_path / "mlflow.db.new").exists()


def test_opening_a_store_prints_nothing(
    tmp_path: Path, config: TrackingConfig, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mlflow.db").unlink()
    with connect(config, tmp_path).start_run("run") as run:
        run.log_text("text", "file.txt")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("uri", ["./mlruns", "mlruns", "file:///tmp/mlruns", "/tmp/mlruns"])
def test_a_folder_is_refused(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrackingAddressError, match=r"tracking\.uri=.*sqlite:///mlflow\.db"):
        resolve_uri(uri, tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(TrackingAddressError, match=r"MLFLOW_TRACKING_URI=.*mlruns"):
        resolve_uri(None, tmp_path)


@pytest.mark.parametrize(
    ("uri", "environment", "resolved"),
    [
        (None, None, "sqlite:///{folder}/mlflow.db"),
        (None, "http://there:5000", "http://there:5000"),
        ("http://here:5000", "http://there:5000", "http://here:5000"),
        ("sqlite:///sub/own.db", None, "sqlite:///{folder}/sub/own.db"),
        ("sqlite:////abs/own.db?timeout=5", None, "sqlite:////abs/own.db?timeout=5"),
        ("databricks", None, "databricks"),
        ("postgresql://me:pw@db/mlflow", None, "postgresql://me:pw@db/mlflow"),
    ],
)
def test_the_address_is_that_of_the_config_then_of_the_environment_then_local(
    uri: str | None, environment: str | None, resolved: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if environment:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", environment)
    assert resolve_uri(uri, tmp_path) == resolved.format(folder=tmp_path)


def test_an_address_where_nothing_listens_is_said_at_once(tmp_path: Path) -> None:
    with (
        timed() as seconds,
        pytest.raises(TrackingUnavailable, match=r"http://127\.0\.0\.1:9 does not answer.*mlflow server"),
    ):
        connect(TrackingConfig(uri="http://127.0.0.1:9"), tmp_path)
    assert seconds[0] < 5


def test_a_server_that_is_silent_is_said_within_seconds(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.PROBE_SECONDS <= 5
    monkeypatch.setattr(store, "PROBE_SECONDS", 0.5)
    server.freeze()
    with timed() as seconds, pytest.raises(TrackingUnavailable, match="does not answer"):
        connect(TrackingConfig(uri=server.uri), tmp_path)
    assert seconds[0] < 2


class _Other(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_another_server_at_the_address_is_told_apart(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), _Other) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        with pytest.raises(TrackingUnavailable, match="is no MLflow server"):
            connect(TrackingConfig(uri=f"http://127.0.0.1:{other.server_port}"), tmp_path)
        other.shutdown()


def test_a_database_of_another_version_is_explained(tmp_path: Path, config: TrackingConfig) -> None:
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(TrackingUnavailable, match="mlflow db upgrade"):
        connect(config, tmp_path)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("gopher://there", "cannot be opened"),
        ("sqlite:////proc/none/mlflow.db", "cannot be opened"),
    ],
)
def test_a_store_that_cannot_be_opened_is_explained(uri: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TrackingUnavailable, match=message):
        connect(TrackingConfig(uri=uri), tmp_path)


def test_a_deleted_experiment_is_explained(tracking: Tracking, config: TrackingConfig, tmp_path: Path) -> None:
    MlflowClient(tracking.uri).delete_experiment(tracking.experiment_id)
    with pytest.raises(ExperimentError, match="was deleted"):
        connect(config, tmp_path)


def test_a_path_with_blanks_works(tmp_path: Path, config: TrackingConfig) -> None:
    folder = tmp_path / "my project #1"
    folder.mkdir()
    (tmp_path / "mlflow.db").rename(folder / "mlflow.db")
    config.experiment = "my experiment"
    with connect(config, folder).start_run("run") as run:
        run.log_text("text", "file.txt")
    assert (folder / "mlartifacts" / "my-experiment" / run.run_id / "artifacts" / "file.txt").read_text() == "text"


def test_a_server_decides_where_artifacts_go(server: Server, tmp_path: Path) -> None:
    tracking = connect(quick_config(server.uri), tmp_path)
    experiment = MlflowClient(server.uri).get_experiment(tracking.experiment_id)
    assert experiment.artifact_location.startswith("mlflow-artifacts:")
    assert server.uri in tracking.how_to_open


def test_a_password_is_hidden() -> None:
    assert hide_password("http://me:secret@host:5000/x") == "http://me:***@host:5000/x"
    assert hide_password("sqlite:///mlflow.db") == "sqlite:///mlflow.db"


def test_importing_tracking_imports_neither_mlflow_nor_torch() -> None:
    code = (
        "import sys, heldout.tracking, heldout.tracking.lineage, heldout.tracking.datasets, heldout.tracking.models\n"
        "print(sorted({'mlflow', 'torch', 'pytorch_lightning'} & set(sys.modules)))"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert time.monotonic() - started < 5


def test_telemetry_is_off(tracking: Tracking) -> None:
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert is_telemetry_disabled()
