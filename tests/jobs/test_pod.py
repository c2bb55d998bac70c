"""A run of a Job says which Job it is of, and the Job which run it is; its last word is where Kubernetes shows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from heldout import app, pod
from heldout.config.tracking import TrackingConfig
from heldout.errors import no_space
from heldout.tracking import Tracking, connect

VARIABLES = {
    "HELDOUT_JOB": "train-mlp",
    "HELDOUT_POD": "train-mlp-x7k2p",
    "HELDOUT_NAMESPACE": "heldout",
    "HELDOUT_IMAGE": "heldout.local/heldout:0.1.0",
}
TAGS = {
    "heldout.job": "train-mlp",
    "heldout.pod": "train-mlp-x7k2p",
    "heldout.namespace": "heldout",
    "heldout.image": "heldout.local/heldout:0.1.0",
}


@pytest.fixture
def word(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """The last word of a pod whose process this is."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    file = workplace / "termination-log"
    file.touch()
    monkeypatch.setenv("HELDOUT_TERMINATION_LOG", str(file))
    # what the process sets is taken back too
    monkeypatch.setenv(pod.RUN_VARIABLE, "")
    monkeypatch.delenv(pod.RUN_VARIABLE)
    return file.read_text


@pytest.fixture
def tracking(workplace: Path) -> Tracking:
    return connect(TrackingConfig(uri="sqlite:///mlflow.db"), workplace)


def test_a_run_of_a_job_and_the_job_name_each_other(word: Callable[[], str], tracking: Tracking) -> None:
    with tracking.start_run("parent") as parent, tracking.start_run("child", parent=parent) as child:
        assert word() == f"run {parent.run_id} at {tracking.how_to_open}", "the child is found below it"
    assert word().endswith("\nFINISHED")
    client = MlflowClient(tracking.uri)
    for run in (parent, child):
        tags = client.get_run(run.run_id).data.tags
        assert {key: tags.get(key) for key in TAGS} == TAGS


def test_without_a_job_there_is_nothing_to_say(
    word: Callable[[], str], tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HELDOUT_JOB")
    with tracking.start_run("alone") as run:
        pass
    assert word() == ""
    assert not set(TAGS) & set(MlflowClient(tracking.uri).get_run(run.run_id).data.tags)


def test_an_error_of_a_run_is_its_last_word(word: Callable[[], str], tracking: Tracking) -> None:
    with pytest.raises(RuntimeError), tracking.start_run("one") as run:
        raise RuntimeError("the disk burns")
    assert word().splitlines() == [
        f"run {run.run_id} at {tracking.how_to_open}",
        "FAILED: RuntimeError: the disk burns",
    ]


def test_a_mistake_is_the_last_word_as_it_is_the_last_line(
    word: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main("train", ["modle=cnn"]) == 2
    assert "modle" in word()
    assert word() == capsys.readouterr().err.splitlines()[-1]


def test_a_full_volume_is_one_message(word: Callable[[], str], capsys: pytest.CaptureFixture[str]) -> None:
    # a device that is always full stands where the report is to go
    Path("quality.json").symlink_to("/dev/full")
    assert app.main("validate", ["data=digits", "data.limit=200", "out=quality.json"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "no space is left" in said
    assert word() in said


def _write_to_full_device() -> None:
    try:
        Path("/dev/full").write_text("x")
    except OSError as error:
        raise RuntimeError("file write failed") from error


def test_a_full_volume_is_known_behind_another_error_too() -> None:
    with pytest.raises(RuntimeError) as caught:
        _write_to_full_device()
    assert "no space is left" in (no_space(caught.value) or "")
    assert no_space(RuntimeError("something else")) is None
