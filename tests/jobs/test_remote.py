"""What an S3 service answers about a bucket is told apart: missing, not ours, away."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from heldout.errors import UserError
from heldout.jobs.errors import JobError
from heldout.jobs.remote import RemoteAway, check_remote

STATUS = {"there": 200, "denied": 403}


class _Service(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(STATUS.get(self.path.strip("/"), 404))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in {"ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "mine", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with HTTPServer(("127.0.0.1", 0), _Service) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        yield address
        server.shutdown()


def test_a_bucket_that_is_there_and_a_folder_are_taken(service: str) -> None:
    check_remote("s3://there/heldout")
    check_remote("/some/folder")


@pytest.mark.parametrize(
    ("bucket", "said"), [("nowhere", "there is no bucket 'nowhere'"), ("denied", "AWS_SECRET_ACCESS_KEY")]
)
def test_a_bucket_that_cannot_be_used_is_the_users_to_mend(service: str, bucket: str, said: str) -> None:
    with pytest.raises(JobError, match=said) as caught:
        check_remote(f"s3://{bucket}/heldout")
    assert service in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_service_that_does_not_answer_may_do_so_later(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # the discard port, where nothing listens
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(RemoteAway, match="AWS_ENDPOINT_URL_S3") as caught:
        check_remote("s3://there/heldout")
    assert isinstance(caught.value, UserError)
    assert caught.value.exit_code == 75
