"""Sends operations from a thread of its own, so that training never waits for the tracking store.

While the store answers, operations go from memory to it, metrics in batches. While it does not, they go to the spool
on disk, and the thread tries again with growing pauses; what the spool holds is sent first, so the order is kept.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from heldout.tracking import delivery
from heldout.tracking.delivery import METRICS_PER_REQUEST, Point
from heldout.tracking.spool import Operation, Spool

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
# with another process writing at the same moment, a database may refuse what it takes a little later
REFUSALS_UNTIL_DROPPED = 3


class Outbox:
    """Takes operations in order and delivers each at least once.

    Args:
        deliver: sends one operation; raises what goes wrong.
        is_refusal: whether an error that `deliver` raised will not go away by trying again.
        spool: where operations wait while the store is away; what it holds already is sent first.
        flush_seconds: longest time a metric waits in memory.
    """

    def __init__(
        self,
        deliver: Callable[[Operation], None],
        is_refusal: Callable[[Exception], bool],
        spool: Spool,
        flush_seconds: float,
    ) -> None:
        self._deliver = deliver
        self._is_refusal = is_refusal
        self._spool = spool
        self._flush_seconds = flush_seconds
        # appending to a deque and putting into a SimpleQueue are safe even in a signal handler that interrupts them
        self._queue: deque[Point | Operation] = deque()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # guards the spool and what follows
        self._in_hand: deque[Operation] = deque()
        self._abandoned = False
        self._closing = False
        self._away = False
        self._pause = FIRST_PAUSE
        self._retry_at = 0.0
        self._thread = threading.Thread(target=self._run, name="heldout-tracking", daemon=True)
        if not spool.empty:
            self._wake.put(None)
        self._thread.start()

    def put_metric(self, point: Point) -> None:
        """Adds a metric; it is sent with others, at the latest after `flush_seconds`."""
        self._queue.append(point)
        if len(self._queue) == METRICS_PER_REQUEST:
            self._wake.put(None)

    def put(self, operation: Operation) -> None:
        """Adds an operation; it is sent soon."""
        self._queue.append(operation)
        self._wake.put(None)

    def close(self, timeout: float) -> bool:
        """Delivers what is left for at most `timeout` seconds; the rest is in the spool when this returns.

        Returns:
            Whether everything was delivered.
        """
        self._closing = True
        self._retry_at = 0.0
        self._wake.put(None)
        self._thread.join(timeout)
        with self._lock:
            self._abandoned = True
            self._collect()
            self._save()
            return self._spool.empty and not self._in_hand

    def _run(self) -> None:
        while True:
            with contextlib.suppress(queue.Empty):
                self._wake.get(timeout=self._waiting_time())
            closing = self._closing  # read before collecting: nothing is added after it was set
            with self._lock:
                if self._abandoned:
                    return
                self._collect()
                if not self._spool.empty:
                    self._save()
            due = not self._away or time.monotonic() >= self._retry_at
            if due and self._send_all() and closing:
                return

    def _waiting_time(self) -> float:
        if self._closing:
            return min(FIRST_PAUSE, max(0.0, self._retry_at - time.monotonic())) if self._away else 0.0
        if self._away:
            return max(0.0, min(self._flush_seconds, self._retry_at - time.monotonic()))
        return self._flush_seconds

    def _collect(self) -> None:
        """Moves what was added into operations in hand; neighbouring metrics become one operation."""
        added = [self._queue.popleft() for _ in range(len(self._queue))]
        self._in_hand.extend(_batched(added))

    def _save(self) -> None:
        """Moves the operations in hand to the spool."""
        if not self._in_hand:
            return
        try:
            self._spool.append(self._in_hand)
        except OSError as error:
            log.error("%s cannot be written (%s): tracking waits in memory", self._spool.directory, error)
            return
        self._in_hand.clear()

    def _send_all(self) -> bool:
        """Sends the spool, then what is in hand; returns whether nothing is left."""
        try:
            while self._send_next():
                pass
        except _UnreachableError as unreachable:
            self._go_away(unreachable.error)
            return False
        if self._away:
            log.info("the tracking store at %s answers again", self._spool.destination.uri)
        self._away, self._pause = False, FIRST_PAUSE
        return True

    def _send_next(self) -> bool:
        with self._lock:
            if self._abandoned:
                return False
            item = None
            if not self._spool.empty:
                item = next(self._spool.pending(), None)
                if item is None:
                    self._spool.acknowledge_all()
            if item is None and not self._in_hand:
                return False
            offset, operation = item if item is not None else (None, self._in_hand[0])
        self._attempt(operation)
        with self._lock:
            # when abandoned meanwhile, the operation is in the spool and will be sent once more: no harm
            if not self._abandoned:
                if offset is None:
                    self._in_hand.popleft()
                else:
                    self._spool.acknowledge(offset)
        return True

    def _attempt(self, operation: Operation) -> None:
        for attempt in itertools.count(1):
            try:
                self._deliver(operation)
                return
            # whatever MLflow, its HTTP library or the file system raise must not end the thread
            except Exception as error:
                if not self._is_refusal(error):
                    raise _UnreachableError(error) from error
                if attempt == REFUSALS_UNTIL_DROPPED:
                    log.error("the tracking store refuses %s: %s", _brief(operation), error)
                    return
                time.sleep(FIRST_PAUSE / 10)

    def _go_away(self, error: Exception) -> None:
        with self._lock:
            if self._abandoned:
                return
            self._save()
        if not self._away:
            log.warning(
                "the tracking store at %s does not answer (%s); the run goes on and writes to %s meanwhile",
                self._spool.destination.uri,
                str(error).splitlines()[0][:200] if str(error) else type(error).__name__,
                self._spool.directory,
            )
        self._away = True
        self._retry_at = time.monotonic() + (FIRST_PAUSE if self._closing else self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)


class _UnreachableError(Exception):
    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _batched(items: Iterable[Point | Operation]) -> Iterator[Operation]:
    points: list[Point] = []
    for item in items:
        if isinstance(item, tuple):
            points.append(item)
            if len(points) < METRICS_PER_REQUEST:
                continue
        if points:
            yield delivery.metrics(points)
            points = []
        if isinstance(item, dict):
            yield item
    if points:
        yield delivery.metrics(points)


def _brief(operation: Operation) -> str:
    text = str(operation)
    return text if len(text) <= 200 else text[:197] + "..."
