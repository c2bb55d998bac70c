"""`heldout pipeline`: on a new volume, with a folder as the DVC remote, it goes on from what others pushed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from tests.conftest import ROOT
from tests.e2e.project import clean_environment

# a stage that is counted, one that depends on it, and one that can be made to wait or to fail
STAGES = {
    "first": {
        "cmd": "echo once >> $COUNT; cp conf/matrix.yaml first.txt",
        "deps": ["conf/matrix.yaml"],
        "outs": ["first.txt"],
    },
    "second": {"cmd": "sh conf/second.sh", "deps": ["first.txt", "conf/second.sh"], "outs": ["second.txt"]},
}
WRITES = "cp first.txt second.txt\n"

Start = Callable[[str], subprocess.Popen[str]]


class Cluster:
    """An image, which nobody may write to, a remote, and volumes that come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.app = folder, folder / "app"
        shutil.copytree(ROOT / "conf", self.app / "conf")
        (self.app / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
        self.second(WRITES)
        self.count = folder / "count"
        self.count.touch()

    def second(self, script: str) -> None:
        (self.app / "conf" / "second.sh").write_text(script)

    def start(self, volume: str, *arguments: str) -> subprocess.Popen[str]:
        place = self.folder / volume
        place.mkdir(exist_ok=True)
        (place / "termination-log").touch()
        return subprocess.Popen(
            [sys.executable, "-m", "heldout", "pipeline", *arguments],
            cwd=place,
            env=clean_environment(
                HELDOUT_CONF=str(self.app / "conf"),
                HELDOUT_DVC_REMOTE=str(self.folder / "remote"),
                HELDOUT_JOB=f"pipeline-{volume}",
                HELDOUT_TERMINATION_LOG=str(place / "termination-log"),
                MLFLOW_TRACKING_URI=f"sqlite:///{self.folder}/mlflow.db",
                COUNT=str(self.count),
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, volume: str, *arguments: str) -> tuple[int, str]:
        process = self.start(volume, *arguments)
        said = process.communicate(timeout=120)[0]
        return process.returncode, said

    def runs(self) -> list[Run]:
        return list(MlflowClient(f"sqlite:///{self.folder}/mlflow.db").search_runs(["1"]))


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


@pytest.mark.kills
def test_it_goes_on_after_a_signal_and_on_a_new_volume(cluster: Cluster) -> None:
    cluster.second(f"touch waits; exec {sys.executable} -c 'import time; time.sleep(60)'\n")
    process = cluster.start("one")
    started = cluster.folder / "one" / "pipeline" / "waits"
    deadline = time.monotonic() + 60
    while not started.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # to the whole group, as `tini -g` does
    os.killpg(process.pid, signal.SIGTERM)
    said = process.communicate(timeout=30)[0]
    assert process.returncode == 128 + signal.SIGTERM, said
    assert [run.info.status for run in cluster.runs()] == ["KILLED"]

    cluster.second(WRITES)
    code, said = cluster.run("one")
    assert code == 0, said
    (run,) = cluster.runs()
    assert run.info.status == "FINISHED", "the same run"
    assert run.data.tags["heldout.job"] == "pipeline-one"
    assert (cluster.folder / "one" / "termination-log").read_text().startswith(f"run {run.info.run_id} at ")
    client = MlflowClient(f"sqlite:///{cluster.folder}/mlflow.db")
    lock = Path(client.download_artifacts(run.info.run_id, "dvc.lock", str(cluster.folder)))
    assert set(yaml.safe_load(lock.read_text())["stages"]) == set(STAGES)

    code, said = cluster.run("two")
    assert code == 0, said
    assert cluster.count.read_text() == "once\n", "nothing is made twice"
    assert (cluster.folder / "two" / "pipeline" / "second.txt").read_bytes()
    assert not list((cluster.folder / "two" / "pipeline").rglob("__pycache__"))


def test_a_mistake_in_a_stage_gives_the_code_of_the_pipeline(cluster: Cluster) -> None:
    (cluster.app / ".dvc").mkdir()
    (cluster.app / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    cluster.second(f"{sys.executable} -m heldout stage prepare data=nowhere\n")
    done = subprocess.run(
        [sys.executable, "-m", "heldout", "repro"],
        cwd=cluster.app,
        env=clean_environment(COUNT=str(cluster.count)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "data=nowhere" in done.stderr


@pytest.mark.parametrize(("argument", "said"), [("profile=ful", "'full'"), ("thrid", "'thrid' is no stage")])
def test_a_mistake_is_said_before_anything_is_made(cluster: Cluster, argument: str, said: str) -> None:
    code, output = cluster.run("one", argument)
    assert code == 2
    assert said in output
    assert {path.name for path in (cluster.folder / "one").iterdir()} == {"termination-log"}
