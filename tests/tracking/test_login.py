"""A server that asks for a login: in with the right one; else a message that names the variables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.server import get_app_client

from heldout.tracking import connect
from heldout.tracking.errors import LoginRefused

from .conftest import Server, quick_config
from .helper import ADMIN_PASSWORD

ADMIN = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": ADMIN_PASSWORD}
READER = {"MLFLOW_TRACKING_USERNAME": "reader", "MLFLOW_TRACKING_PASSWORD": "may-read-and-no-more"}


@pytest.fixture
def guarded(server: Server) -> Iterator[str]:
    pytest.importorskip("flask_wtf", reason="the extra 'cluster' is not installed")
    server.guard()
    yield server.uri
    server.kill()


def _log_in(monkeypatch: pytest.MonkeyPatch, login: dict[str, str]) -> None:
    for name in ADMIN:
        monkeypatch.delenv(name, raising=False)
    for name, value in login.items():
        monkeypatch.setenv(name, value)


def test_a_login_lets_in_and_another_is_said_at_once(
    guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = quick_config(guarded)
    _log_in(monkeypatch, {})
    with pytest.raises(LoginRefused, match=r"with no login.*MLFLOW_TRACKING_PASSWORD.*Secret heldout-mlflow"):
        connect(config, tmp_path)

    wrong = {**ADMIN, "MLFLOW_TRACKING_PASSWORD": "of another"}
    _log_in(monkeypatch, wrong)
    with pytest.raises(LoginRefused, match="with MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD") as caught:
        connect(config, tmp_path)
    assert "of another" not in str(caught.value)
    assert caught.value.exit_code == 2

    _log_in(monkeypatch, ADMIN)
    tracking = connect(config, tmp_path)
    with tracking.start_run("let in", system_metrics=False) as run:
        run.log_metrics({"loss": 1.0}, 1)
    assert tracking.reopen(run.run_id).finish()

    users = get_app_client("basic-auth", tracking_uri=guarded)
    users.create_user(READER["MLFLOW_TRACKING_USERNAME"], READER["MLFLOW_TRACKING_PASSWORD"])
    _log_in(monkeypatch, READER)
    with pytest.raises(LoginRefused, match="may use run 'not mine'"):
        connect(config, tmp_path).start_run("not mine")
