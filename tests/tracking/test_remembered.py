"""The run of a sweep, a study or a pipeline is one, however often its process is killed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from heldout.config.tracking import TrackingConfig
from heldout.tracking import Tracking, connect
from heldout.tracking.errors import TrackingAway
from heldout.tracking.remembered import RUN_FILE, remembered_run
from heldout.tracking.tracker import RunTracker

from .conftest import Server, quick_config


def begin(tracking: Tracking, folder: Path) -> RunTracker:
    return remembered_run(tracking, folder, "sweep", "sweep one", {"heldout.kind": "sweep"}, {"trials": 3})


def test_each_start_goes_on_with_it(tracking: Tracking, tmp_path: Path) -> None:
    first = begin(tracking, tmp_path / "sweeps" / "one")
    first.finish("KILLED")
    second = begin(tracking, tmp_path / "sweeps" / "one")
    second.finish()
    assert second.run_id == first.run_id


def test_also_where_its_id_was_not_noted(tracking: Tracking, tmp_path: Path) -> None:
    folder = tmp_path / "sweeps" / "one"
    first = begin(tracking, folder)
    first.finish("KILLED")
    # as it is between the creation of the run and the note of its id
    token = json.loads((folder / RUN_FILE).read_text())["token"]
    (folder / RUN_FILE).write_text(json.dumps({"token": token}))
    second = begin(tracking, folder)
    second.finish()
    assert second.run_id == first.run_id


def test_nothing_is_left_where_none_could_be_begun(server: Server, tmp_path: Path) -> None:
    config: TrackingConfig = replace(quick_config(server.uri), start_seconds=0.1)
    tracking = connect(config, tmp_path)
    server.kill()
    with pytest.raises(TrackingAway):
        begin(tracking, tmp_path / "sweeps" / "one")
    assert not (tmp_path / "sweeps").exists()
