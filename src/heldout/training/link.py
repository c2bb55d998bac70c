"""Messages between the nodes of a training: JSON, and bytes that belong to it. Nothing of them is ever unpickled."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import dataclass, field
from typing import Any

# of the length of a message
HEADER_BYTES = 8
# more is no message of a node
MAX_JSON_BYTES = 1 << 16
# a machine that is gone says nothing: it is asked after so many seconds of silence, so often
KEEPALIVE = (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
# of what was sent and is not acknowledged
UNANSWERED_MILLISECONDS = 20_000


@dataclass(frozen=True)
class Message:
    """kind: what it is about; content: its values; data: bytes that come with it."""

    kind: str
    content: dict[str, Any] = field(default_factory=dict)
    data: bytes = b""


class Link:
    """One connection; may be written from several threads, and read from one."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for name, value in (*KEEPALIVE, ("TCP_USER_TIMEOUT", UNANSWERED_MILLISECONDS)):
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        self.here: str = connection.getsockname()[0]
        self.there: str = connection.getpeername()[0]
        self._connection = connection
        self._writing = threading.Lock()

    def fileno(self) -> int:
        """For `select`."""
        return self._connection.fileno()

    def send(self, message: Message) -> None:
        """Sends a message.

        Raises:
            OSError: the other end is gone.
        """
        text = json.dumps({"kind": message.kind, "content": message.content}).encode()
        lengths = len(text).to_bytes(HEADER_BYTES, "big") + len(message.data).to_bytes(HEADER_BYTES, "big")
        with self._writing:
            self._connection.sendall(lengths + text + message.data)

    def receive(self) -> Message | None:
        """The next message, waited for; None when the other end is gone, or sends what is no message."""
        try:
            length, data = (int.from_bytes(self._read(HEADER_BYTES), "big") for _ in range(2))
            if length > MAX_JSON_BYTES:
                return None
            parsed = json.loads(self._read(length))
            return Message(str(parsed["kind"]), dict(parsed["content"]), self._read(data))
        except (OSError, EOFError, ValueError, KeyError, TypeError):
            return None

    def finish(self) -> None:
        """Says that nothing more is sent; what was sent still arrives."""
        self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._connection.close()

    def _read(self, size: int) -> bytes:
        content = bytearray()
        while len(content) < size:
            block = self._connection.recv(min(size - len(content), 1 << 20))
            if not block:
                raise EOFError
            content += block
        return bytes(content)
