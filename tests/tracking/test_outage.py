"""A tracking server that is killed, restarted or frozen while a run goes on."""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from heldout.tracking import RunTracker, Tracking, connect, sync
from heldout.tracking.errors import TrackingAway, TrackingUnavailable
from heldout.tracking.runs import SPOOL_ROOT

from .conftest import Server, quick_config, timed, wait_until

KEYS = ("train/loss", "validation/loss")


@pytest.fixture
def tracking(server: Server, tmp_path: Path) -> Tracking:
    return connect(quick_config(server.uri), tmp_path)


@pytest.fixture
def client(server: Server) -> MlflowClient:
    return MlflowClient(server.uri)


def log_steps(run: RunTracker, steps: range) -> list[float]:
    """Logs a point of each key a step, with the step itself as time; returns the seconds of each call."""
    seconds = []
    for step in steps:
        started = time.perf_counter()
        run.log_metrics(dict.fromkeys(KEYS, step / 7), step, timestamp=1000 + step)
        seconds.append(time.perf_counter() - started)
    return seconds


def assert_points(client: MlflowClient, run_id: str, steps: range) -> None:
    """Every step is there once, in order, with its value and time."""
    for key in KEYS:
        points = [(p.step, p.value, p.timestamp) for p in client.get_metric_history(run_id, key)]
        assert sorted(points) == [(step, step / 7, 1000 + step) for step in steps]


def test_a_server_that_comes_back_gets_everything_once(
    server: Server, tracking: Tracking, client: MlflowClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tracking.start_run("run")
    log_steps(run, range(20))
    wait_until(lambda: len(client.get_metric_history(run.run_id, KEYS[0])) == 20)
    server.kill()
    calls = log_steps(run, range(20, 120))
    run.set_tags({"phase": "away"})
    run.log_params({"late": {"parameter": 1}})
    run.log_text("seen", "notes/note.txt")
    wait_until(lambda: (tmp_path / SPOOL_ROOT / run.run_id / "operations.jsonl").exists())
    log_steps(run, range(120, 150))
    server.start()
    log_steps(run, range(150, 160))
    assert run.finish()

    assert_points(client, run.run_id, range(160))
    stored = client.get_run(run.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.data.tags["phase"] == "away"
    assert stored.data.params["late.parameter"] == "1"
    note = client.download_artifacts(run.run_id, "notes/note.txt", str(tmp_path))
    assert Path(note).read_text() == "seen"
    assert sorted(calls)[len(calls) // 2] < 1e-3, "logging waited for the server"
    assert not (tmp_path / SPOOL_ROOT / run.run_id).exists(), "the spool is removed once everything is sent"
    assert sum("does not answer" in record.message for record in caplog.records) == 1


def test_what_a_server_never_took_is_sent_by_sync(
    server: Server, client: MlflowClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = quick_config(server.uri)
    config.close_seconds = 0.5
    run = connect(config, tmp_path).start_run("run")
    log_steps(run, range(5))
    wait_until(lambda: len(client.get_metric_history(run.run_id, KEYS[0])) == 5)
    server.kill()
    log_steps(run, range(5, 12))
    with timed() as seconds:
        assert not run.finish("FAILED", "the loss is not a number at step 11")
    assert seconds[0] < 2.0
    assert "heldout sync" in caplog.text
    with pytest.raises(TrackingUnavailable, match=server.uri):
        sync(tmp_path / SPOOL_ROOT)

    server.start()
    assert sync(tmp_path / SPOOL_ROOT) > 0
    assert sync(tmp_path / SPOOL_ROOT) == 0
    assert_points(client, run.run_id, range(12))
    stored = client.get_run(run.run_id)
    assert stored.info.status == "FAILED"
    assert stored.info.end_time is not None
    assert stored.data.tags["error"] == "the loss is not a number at step 11"


def test_replaying_a_spool_again_changes_nothing(server: Server, client: MlflowClient, tmp_path: Path) -> None:
    config = quick_config(server.uri)
    config.close_seconds = 0.2
    run = connect(config, tmp_path).start_run("run")
    server.kill()
    log_steps(run, range(6))
    run.set_tags({"tag": "value"})
    run.finish()
    folder = tmp_path / SPOOL_ROOT / run.run_id
    content = (folder / "operations.jsonl").read_bytes()
    server.start()
    sync(folder)
    # as after a crash between the last delivery and the note of it; and the crash cut off a line
    folder.mkdir()
    (folder / "operations.jsonl").write_bytes(content + b'{"op": "tags", "val')
    assert sync(folder) == len(content.splitlines()) - 1
    assert_points(client, run.run_id, range(6))
    assert client.get_run(run.run_id).data.tags["tag"] == "value"


def test_a_frozen_server_delays_neither_training_nor_the_end(
    server: Server, client: MlflowClient, tmp_path: Path
) -> None:
    config = quick_config(server.uri)
    config.close_seconds = 0.5
    config.request_seconds = 30
    run = connect(config, tmp_path).start_run("run")
    server.freeze()
    calls = log_steps(run, range(50))
    with timed() as seconds:
        assert not run.finish("KILLED")
    assert seconds[0] < 1.5
    assert max(calls) < 0.05
    server.start()
    sync(tmp_path / SPOOL_ROOT)
    assert_points(client, run.run_id, range(50))
    assert client.get_run(run.run_id).info.status == "KILLED"


def test_a_resumed_run_sends_first_what_its_killed_process_left(
    server: Server, client: MlflowClient, tmp_path: Path
) -> None:
    config = quick_config(server.uri)
    config.close_seconds = 0.2
    run = connect(config, tmp_path).start_run("run")
    server.kill()
    log_steps(run, range(4))
    run.finish("KILLED")
    server.start()
    resumed = connect(quick_config(server.uri), tmp_path).start_run("run", resume_run_id=run.run_id)
    log_steps(resumed, range(8))  # a resumed training logs its history again
    assert resumed.finish()
    assert_points(client, run.run_id, range(8))
    assert client.get_run(run.run_id).info.status == "FINISHED"


def test_a_run_begins_when_the_server_comes_back_in_time(server: Server, client: MlflowClient, tmp_path: Path) -> None:
    tracking = connect(quick_config(server.uri), tmp_path)
    server.kill()
    with pytest.raises(TrackingUnavailable, match="start_seconds"):
        tracking.start_run("too early")
    server.start()
    run = tracking.start_run("in time")
    assert run.finish()
    assert run.url == f"{server.uri}/#/experiments/{run.experiment_id}/runs/{run.run_id}"
    assert client.get_run(run.run_id).info.run_name == "in time"


def test_where_it_was_before_a_server_is_waited_for(server: Server, tmp_path: Path) -> None:
    config = replace(quick_config(server.uri), start_seconds=30.0)
    server.kill()
    with pytest.raises(TrackingAway):
        connect(config, tmp_path)
    threading.Timer(3.0, server.start).start()
    assert connect(config, tmp_path, patient=True).start_run("run").run_id


def test_the_spool_names_its_run_but_no_password(server: Server, tmp_path: Path) -> None:
    config = quick_config(server.uri.replace("http://", "http://me:secret@"))
    config.close_seconds = 0.1
    run = connect(config, tmp_path).start_run("run")
    server.kill()
    run.log_metrics({"loss": 1.0}, 1)
    run.finish()
    text = (tmp_path / SPOOL_ROOT / run.run_id / "operations.jsonl").read_text()
    assert json.loads(text.splitlines()[0])["run_id"] == run.run_id
    assert "secret" not in text
    assert "secret" not in run.tracking_uri


def test_the_outage_is_said_once(server: Server, tracking: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    run = tracking.start_run("run")
    server.kill()
    with caplog.at_level(logging.INFO):
        for step in range(3):
            run.log_metrics({"loss": 1.0}, step)
            run.set_tags({"step": str(step)})
            time.sleep(0.2)
        server.start()
        assert run.finish()
    assert sum("does not answer" in record.message for record in caplog.records) == 1
    assert sum("answers again" in record.message for record in caplog.records) == 1
