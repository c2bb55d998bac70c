"""`python -m heldout.training.worker`: takes parts in fits, each in a fork of this process.

Orders come on standard input: their length, then an `Order` with rank and address, pickled; of length 0, to end what is
going on. How each part ended goes to standard output, as a line of JSON. A fit that is no longer wanted is killed:
nothing of it is to be kept, and no library has to agree to being interrupted.
"""

from __future__ import annotations

import json
import os
import select
import signal
from dataclasses import asdict, dataclass

from heldout.training.workers import End, of_exit, unpack
from heldout.warm import LENGTH_BYTES

# longest reason that is passed on
REASON_BYTES = 2000


@dataclass(frozen=True)
class _Part:
    process: int
    # gives the reason of an error, then ends with the process
    reasons: int


def main() -> None:
    """Serves until standard input ends, which it does with the process that gives the orders."""
    # those are for the first worker, which ends the others
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answers = os.dup(1)
    # what libraries print is no answer
    os.dup2(2, 1)
    import heldout.training.deep  # noqa: F401 - for the forks

    part: _Part | None = None
    while True:
        readable, _, _ = select.select([0] if part is None else [0, part.reasons], [], [])
        if part is not None and part.reasons in readable:
            _answer(answers, _end_of(part))
            part = None
        if 0 in readable:
            message = _read_message()
            if part is not None:
                os.kill(part.process, signal.SIGKILL)
            if message is None:
                return
            if message:
                part = _fork(message, answers)


def _fork(message: bytes, answers: int) -> _Part:
    reader, writer = os.pipe()
    process = os.fork()
    if process:
        os.close(writer)
        return _Part(process, reader)
    for file in (0, answers, reader):
        os.close(file)
    os._exit(_take_part(message, writer))


def _take_part(message: bytes, reasons: int) -> int:
    from heldout.training.deep import fit_share
    from heldout.training.errors import Diverged

    try:
        order, rank, address = unpack(message)
        os.chdir(order.folder)
        fit_share(order, rank, address)
    except Diverged:
        pass  # which the first worker says
    # whatever it was, the first worker is told
    except BaseException as error:  # noqa: BLE001
        os.write(reasons, f"{type(error).__name__}: {error}".encode()[:REASON_BYTES])
        return 1
    return 0


def _end_of(part: _Part) -> End:
    said = b""
    while block := os.read(part.reasons, REASON_BYTES):
        said += block
    os.close(part.reasons)
    _, status = os.waitpid(part.process, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == 0 or said:
        return End(died=False, reason=said.decode(errors="replace"))
    return End(died=True, reason=f"its process {of_exit(code)}")


def _answer(answers: int, end: End) -> None:
    os.write(answers, json.dumps(asdict(end)).encode() + b"\n")


def _read_message() -> bytes | None:
    header = _read(LENGTH_BYTES)
    return None if header is None else _read(int.from_bytes(header, "big"))


def _read(size: int) -> bytes | None:
    content = b""
    while len(content) < size:
        block = os.read(0, min(size - len(content), 1 << 20))
        if not block:
            return None
        content += block
    return content


if __name__ == "__main__":
    main()
