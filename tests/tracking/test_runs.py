"""Runs on a real SQLite store: what is logged is there, and they end as they should."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from heldout.config.tracking import TrackingConfig
from heldout.tracking import Tracking, connect
from heldout.tracking.errors import RunInUse, RunRefused
from heldout.tracking.runs import SPOOL_ROOT

Stored = Callable[[str], Run]


@pytest.fixture
def client(tracking: Tracking) -> MlflowClient:
    return MlflowClient(tracking.uri)


@pytest.fixture
def stored(client: MlflowClient) -> Stored:
    return client.get_run


def test_children_nest_below_their_parent_whatever_the_environment_says(
    tracking: Tracking, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracking.start_run("parent") as parent:
        monkeypatch.setenv("MLFLOW_RUN_ID", parent.run_id)
        with (
            tracking.start_run("seed 0", parent=parent) as first,
            tracking.start_run("seed 1", parent=parent.run_id) as second,
        ):
            pass
    assert len({parent.run_id, first.run_id, second.run_id}) == 3
    for child in (first, second):
        assert stored(child.run_id).data.tags["mlflow.parentRunId"] == parent.run_id == child.parent_run_id
    assert stored(first.run_id).info.run_name == "seed 0"
    assert stored(parent.run_id).info.run_name == "parent"
    assert parent.parent_run_id is None


def test_metrics_arrive_in_order_with_their_times(tracking: Tracking, client: MlflowClient) -> None:
    with tracking.start_run("run") as run:
        for step in range(2500):  # more than two requests take
            run.log_metrics({"train/loss": 1 / (step + 1), "gap/loss": -step}, step, timestamp=5000 + step)
    points = [(p.step, p.value, p.timestamp) for p in client.get_metric_history(run.run_id, "train/loss")]
    assert points == [(step, 1 / (step + 1), 5000 + step) for step in range(2500)]
    assert len(client.get_metric_history(run.run_id, "gap/loss")) == 2500


def test_logging_a_metric_takes_microseconds(tracking: Tracking) -> None:
    with tracking.start_run("run") as run:
        seconds = []
        for step in range(2000):
            started = time.perf_counter()
            run.log_metrics({"train/loss": 0.5}, step)
            seconds.append(time.perf_counter() - started)
    assert sorted(seconds)[1000] < 100e-6


def test_values_that_are_no_numbers_are_kept_as_such(tracking: Tracking, stored: Stored) -> None:
    with tracking.start_run("run") as run:
        run.log_metrics({"nan": math.nan, "infinite": math.inf}, 1)
    metrics = stored(run.run_id).data.metrics
    assert math.isnan(metrics["nan"])
    assert metrics["infinite"] > 1e300


def test_names_that_mlflow_refuses_are_mended(tracking: Tracking, stored: Stored) -> None:
    with tracking.start_run("run", tags={"a#b": "1"}, params={"x": {"y=z": 1}}) as run:
        run.log_metrics({"f1/class (a)": 1.0, "/lead//ing/../x": 2.0}, 1)
    data = stored(run.run_id).data
    assert data.metrics == {"f1/class _a_": 1.0, "lead/ing/x": 2.0}
    assert data.params == {"x.y_z": "1"}
    assert data.tags["a_b"] == "1"


def test_a_config_of_any_size_becomes_params(tracking: Tracking, stored: Stored) -> None:
    config = {"model": {"width": 32, "hidden": [64, 64]}, "many": {f"key{i}": i for i in range(250)}}
    config["long"] = {"value": "x" * 10_000, "zero": "a\x00b"}
    with tracking.start_run("run", params=config) as run:
        pass
    params = stored(run.run_id).data.params
    assert len(params) == 254
    assert params["model.hidden"] == "[64,64]"
    assert params["long.value"].startswith("xxx")
    assert params["long.value"].endswith("x...")
    assert len(params["long.value"]) == 6000
    assert params["long.zero"] == "ab"


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "FINISHED"), (ValueError("width must be even"), "FAILED"), (KeyboardInterrupt(), "KILLED")],
)
def test_a_run_ends_as_its_block_does(
    error: BaseException | None, status: str, tracking: Tracking, stored: Stored
) -> None:
    with contextlib.suppress(ValueError, KeyboardInterrupt), tracking.start_run("run") as run:
        run.log_metrics({"loss": 1.0}, 1)
        if error is not None:
            raise error
    info = stored(run.run_id).info
    assert info.status == status
    assert info.end_time >= info.start_time
    expected = None if error is None else f"{type(error).__name__}: {error}"
    assert stored(run.run_id).data.tags.get("error") == expected


def test_a_run_ends_once(tracking: Tracking, stored: Stored) -> None:
    run = tracking.start_run("run")
    assert run.finish("KILLED")
    assert run.finish("FINISHED")
    assert stored(run.run_id).info.status == "KILLED"
    with pytest.raises(RuntimeError, match="has ended"):
        run.log_metrics({"loss": 1.0}, 1)
    with pytest.raises(RuntimeError, match="has ended"):
        run.set_tags({"late": "tag"})


def test_a_resumed_run_is_the_same_run_and_logs_nothing_twice(
    tracking: Tracking, client: MlflowClient, stored: Stored
) -> None:
    first = tracking.start_run("run", params={"epochs": 5, "width": 3}, tags={"start": "1"})
    for step in range(3):
        first.log_metrics({"loss": float(step)}, step)
    first.finish("KILLED", "SIGTERM")
    resumed = tracking.start_run(
        "run", resume_run_id=first.run_id, params={"epochs": 9, "width": 3}, tags={"start": "2"}
    )
    for step in range(6):
        resumed.log_metrics({"loss": float(step)}, step)
    running = client.get_run(resumed.run_id)
    assert resumed.run_id == first.run_id
    assert resumed.finish()
    assert running.info.run_id == first.run_id
    assert [p.step for p in client.get_metric_history(first.run_id, "loss")] == list(range(6))
    run = stored(first.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"epochs": "5", "width": "3"}
    assert run.data.tags["changed.epochs"] == "9"
    assert run.data.tags["start"] == "2"
    assert "error" not in run.data.tags, "that of the earlier start"


def test_a_resumed_run_is_running_meanwhile(tracking: Tracking, stored: Stored) -> None:
    run = tracking.start_run("run")
    run.finish("KILLED")
    with tracking.start_run("run", resume_run_id=run.run_id) as resumed:
        give_up = time.monotonic() + 5
        while stored(resumed.run_id).info.status != "RUNNING":
            assert time.monotonic() < give_up
            time.sleep(0.02)
    assert stored(run.run_id).info.status == "FINISHED"


def test_a_run_that_is_not_there_cannot_be_resumed(tracking: Tracking) -> None:
    with pytest.raises(RunRefused, match="0123456789abcdef"):
        tracking.start_run("run", resume_run_id="0123456789abcdef")


def test_a_run_that_is_in_use_cannot_be_resumed(tracking: Tracking) -> None:
    with tracking.start_run("run") as run, pytest.raises(RunInUse, match=run.run_id):
        tracking.start_run("run", resume_run_id=run.run_id)


def test_adding_to_an_ended_run_leaves_its_end_alone(tracking: Tracking, stored: Stored) -> None:
    run = tracking.start_run("run")
    run.finish("FAILED", "no more memory")
    before = stored(run.run_id).info
    with tracking.reopen(run.run_id) as again:
        again.log_metrics({"test/accuracy": 0.5}, 7)
    after = stored(run.run_id)
    assert (after.info.status, after.info.end_time) == ("FAILED", before.end_time)
    assert after.data.metrics == {"test/accuracy": 0.5}


def test_artifacts_are_copied_when_logged(tracking: Tracking, client: MlflowClient, tmp_path: Path) -> None:
    file, folder = tmp_path / "table.txt", tmp_path / "plots"
    file.write_text("as it was")
    folder.mkdir()
    (folder / "one.csv").write_text("1")
    with tracking.start_run("run") as run:
        run.log_artifact(file, "tables")
        run.log_artifact(folder)
        file.unlink()
        run.log_text("a: 1", "config.yaml")
        run.log_figure_html("gap", "<html></html>")

    def paths(below: str | None) -> set[str]:
        return {item.path for item in client.list_artifacts(run.run_id, below)}

    assert paths(None) == {"tables", "plots", "config.yaml", "figures"}
    assert paths("tables") == {"tables/table.txt"}
    assert paths("plots") == {"plots/one.csv"}
    assert paths("figures") == {"figures/gap.html"}
    assert (tmp_path / "mlartifacts/test" / run.run_id / "artifacts/tables/table.txt").read_text() == "as it was"
    assert not list((tmp_path / SPOOL_ROOT).iterdir()), "nothing is left beside the store"


def test_system_metrics_are_there_even_of_a_short_run(
    config: TrackingConfig, tmp_path: Path, client: MlflowClient
) -> None:
    config.system_metrics_seconds = 10.0
    tracking = connect(config, tmp_path)
    with tracking.start_run("run") as run:
        time.sleep(0.5)
    history = client.get_metric_history(run.run_id, "system/cpu_utilization_percentage")
    assert [point.step for point in history] == [0, 1]
    memory = client.get_metric_history(run.run_id, "system/system_memory_usage_megabytes")
    assert all(point.value > 1 for point in memory)
    with tracking.start_run("run", resume_run_id=run.run_id):
        time.sleep(0.3)
    history = client.get_metric_history(run.run_id, "system/cpu_utilization_percentage")
    assert [point.step for point in history] == [0, 1, 2, 3]


def test_runs_of_several_threads_at_once(tracking: Tracking, client: MlflowClient) -> None:
    def one(number: int) -> None:
        with tracking.start_run(f"run-{number}") as run:
            for step in range(50):
                run.log_metrics({"loss": float(number)}, step)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs = client.search_runs([tracking.experiment_id])
    assert sorted(run.data.metrics["loss"] for run in runs) == [0, 1, 2, 3, 4, 5]
    assert all(len(client.get_metric_history(run.info.run_id, "loss")) == 50 for run in runs)
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_configured_tags_and_the_origin_are_on_every_run(
    config: TrackingConfig, tmp_path: Path, stored: Stored
) -> None:
    config.tags = {"team": "vision"}
    with connect(config, tmp_path).start_run("run", tags={"seed": "3"}) as run:
        assert run.url is None
    tags = stored(run.run_id).data.tags
    assert tags["team"] == "vision"
    assert tags["seed"] == "3"
    assert tags["mlflow.source.name"]


def test_a_second_process_finds_the_same_experiment(tracking: Tracking, config: TrackingConfig, tmp_path: Path) -> None:
    assert connect(config, tmp_path).experiment_id == tracking.experiment_id
    assert tracking.how_to_open == f"mlflow ui --backend-store-uri sqlite:///{tmp_path}/mlflow.db"
