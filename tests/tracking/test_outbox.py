"""The outbox and its spool, with a store that fails as the tests say."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from requests import ConnectionError as NoConnection
from requests import HTTPError, Response

from heldout.tracking import delivery, outbox
from heldout.tracking.delivery import is_refusal
from heldout.tracking.outbox import Outbox
from heldout.tracking.spool import Destination, Operation, Spool, find_spools, read_destination

from .conftest import timed, wait_until

DESTINATION = Destination(uri="http://there", experiment_id="1", run_id="abc")


class FakeStore:
    """Takes operations unless told otherwise."""

    def __init__(self) -> None:
        self.taken: list[Operation] = []
        # raised as long as it is set
        self.error: Exception | None = None
        # raised by the next call only
        self.hiccup: Exception | None = None
        self.calls = 0

    def __call__(self, operation: Operation) -> None:
        self.calls += 1
        hiccup, self.hiccup = self.hiccup, None
        if error := hiccup or self.error:
            raise error
        self.taken.append(operation)

    @property
    def points(self) -> list[tuple[str, float, int, int]]:
        return [tuple(point) for operation in self.taken for point in operation.get("points", ())]


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", DESTINATION)


@pytest.fixture
def start(store: FakeStore, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Outbox]]:
    monkeypatch.setattr(outbox, "FIRST_PAUSE", 0.02)
    started: list[Outbox] = []

    def make() -> Outbox:
        started.append(Outbox(store, lambda error: is_refusal(error, True), spool, flush_seconds=0.02))
        return started[-1]

    yield make
    store.error = None
    for box in started:
        box.close(1.0)


def point(step: int) -> tuple[str, float, int, int]:
    return ("loss", step / 3, 1000 + step, step)


def test_metrics_go_out_in_batches_between_other_operations(start: Callable[[], Outbox], store: FakeStore) -> None:
    box = start()
    for step in range(1500):
        box.put_metric(point(step))
    box.put(delivery.tags({"a": "1"}))
    box.put_metric(point(1500))
    assert box.close(5.0)
    assert store.points == [point(step) for step in range(1501)]
    assert max(len(operation.get("points", ())) for operation in store.taken) <= 1000
    kinds = [operation["op"] for operation in store.taken]
    assert kinds[-2:] == ["tags", "metrics"]


def test_an_operation_refused_is_dropped_and_said_and_the_rest_goes_on(
    start: Callable[[], Outbox], store: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.error = RestException({"error_code": "INVALID_PARAMETER_VALUE", "message": "no such thing"})
    box = start()
    box.put(delivery.tags({"bad": "1"}))
    wait_until(lambda: store.calls == outbox.REFUSALS_UNTIL_DROPPED)
    store.error = None
    box.put(delivery.tags({"good": "1"}))
    assert box.close(5.0)
    assert [operation["values"] for operation in store.taken] == [{"good": "1"}]
    assert "no such thing" in caplog.text


def test_an_operation_refused_once_is_tried_again(start: Callable[[], Outbox], store: FakeStore) -> None:
    # two processes may insert the same data set at once; the second attempt finds it there
    store.hiccup = RestException({"error_code": "BAD_REQUEST", "message": "UNIQUE constraint failed"})
    box = start()
    box.put(delivery.tags({"a": "1"}))
    assert box.close(5.0)
    assert store.taken == [delivery.tags({"a": "1"})]


def test_a_spool_that_cannot_be_written_keeps_the_rest_in_memory(
    start: Callable[[], Outbox],
    store: FakeStore,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(operations: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool, "append", full)
    store.error = NoConnection("away")
    box = start()
    box.put_metric(point(1))
    wait_until(lambda: "No space left" in caplog.text)
    box.put_metric(point(2))
    store.error = None
    assert box.close(5.0)
    assert store.points == [point(1), point(2)]


def test_closing_while_the_store_hangs_leaves_everything_in_the_spool(spool: Spool) -> None:
    def hang(operation: Operation) -> None:
        time.sleep(1.0)

    box = Outbox(hang, lambda error: False, spool, flush_seconds=0.01)
    box.put_metric(point(1))
    time.sleep(0.1)
    box.put_metric(point(2))
    with timed() as seconds:
        assert not box.close(0.2)
    assert seconds[0] < 0.5
    assert [o["points"] for _, o in Spool(spool.directory, DESTINATION).pending()] == [
        [list(point(1))],
        [list(point(2))],
    ]


def test_what_an_earlier_process_left_goes_first(start: Callable[[], Outbox], store: FakeStore, spool: Spool) -> None:
    spool.append([delivery.metrics([point(1)])])
    box = start()
    box.put_metric(point(2))
    assert box.close(5.0)
    assert store.points == [point(1), point(2)]


@pytest.mark.parametrize(
    ("error", "from_server", "refused"),
    [
        (RestException({"error_code": "INVALID_PARAMETER_VALUE", "message": ""}), True, True),
        (RestException({"error_code": "TEMPORARILY_UNAVAILABLE", "message": ""}), True, False),
        (RestException({"error_code": "PERMISSION_DENIED", "message": ""}), True, False),
        # an ingress in front of a server that is away answers 404 in a form of its own
        (MlflowException("failed with error code 404 != 200", RESOURCE_DOES_NOT_EXIST), True, False),
        (MlflowException("Run 'x' not found", RESOURCE_DOES_NOT_EXIST), False, True),
        (NoConnection("refused"), True, False),
        (FileNotFoundError("gone"), True, True),
        (OSError(errno.ENOSPC, "full"), False, False),
    ],
)
def test_what_counts_as_a_refusal(error: Exception, from_server: bool, refused: bool) -> None:
    assert is_refusal(error, from_server) is refused


@pytest.mark.parametrize(("status", "refused"), [(413, True), (400, True), (403, False), (429, False), (502, False)])
def test_which_answers_to_an_upload_are_refusals(status: int, refused: bool) -> None:
    response = Response()
    response.status_code = status
    assert is_refusal(HTTPError("upload", response=response), True) is refused


def test_a_line_cut_off_is_left_out_and_overwritten(spool: Spool) -> None:
    spool.append([delivery.tags({"a": "1"}), delivery.tags({"b": "2"})])
    file = spool.directory / "operations.jsonl"
    file.write_bytes(file.read_bytes() + b'{"op": "tags", "va')
    again = Spool(spool.directory, DESTINATION)
    assert [o["values"] for _, o in again.pending()] == [{"a": "1"}, {"b": "2"}]
    again.acknowledge_all()
    assert again.empty
    again.append([delivery.tags({"c": "3"})])
    assert [o["values"] for _, o in again.pending()] == [{"c": "3"}]
    assert all(json.loads(line) for line in file.read_text().splitlines())


def test_a_damaged_line_costs_only_itself(spool: Spool) -> None:
    spool.append([delivery.tags({"a": "1"}), delivery.tags({"b": "2"})])
    file = spool.directory / "operations.jsonl"
    header, _, second = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(header + b"\x00\xff\x00\n" + second)
    assert [o["values"] for _, o in Spool(spool.directory, DESTINATION).pending()] == [{"b": "2"}]


def test_a_spool_knows_its_run(spool: Spool, tmp_path: Path) -> None:
    spool.append([delivery.tags({"a": "1"})])
    assert find_spools(tmp_path) == [spool.directory]
    assert read_destination(spool.directory) == DESTINATION
    (spool.directory / "operations.jsonl").write_bytes(b'{"format": 1, "ur')
    assert read_destination(spool.directory) is None


def test_only_what_was_not_acknowledged_is_sent_again(spool: Spool) -> None:
    spool.append([delivery.tags({"a": "1"}), delivery.tags({"b": "2"})])
    offset, _ = next(spool.pending())
    spool.acknowledge(offset)
    assert [o["values"] for _, o in Spool(spool.directory, DESTINATION).pending()] == [{"b": "2"}]
