"""Errors that are the user's to mend: one message, no traceback, exit code 2. And what the other exit codes mean."""

from __future__ import annotations

import errno
import shutil
import sys
from pathlib import Path

from heldout import pod

FAILED = 1
USER_ERROR_EXIT_CODE = 2
# what was lost may be there again: EX_TEMPFAIL of sysexits.h, by which a Job of Kubernetes is retried
DISRUPTED_EXIT_CODE = 75
# of a training whose runs all failed, and said so in their records
RUNS_FAILED = 3
# as a shell says that a signal ended a process: this + the signal
SIGNALLED = 128

# with less, nothing that is worth writing fits
FULL_BYTES = 1 << 20


class UserError(Exception):
    """Base of every mistake a user can mend.

    The message says what was given, what was expected and how to mend it.
    """

    exit_code = USER_ERROR_EXIT_CODE


class Disrupted(UserError):
    """Something that is needed was lost, or is not there yet; the same command again goes on, or may come further."""

    exit_code = DISRUPTED_EXIT_CODE


def complain(error: UserError) -> int:
    """Says a user's mistake on standard error, and where Kubernetes shows it; returns the exit code for it."""
    say(str(error))
    return error.exit_code


def say(message: str) -> None:
    """Says why a command ends, on standard error and where Kubernetes shows it."""
    sys.stderr.write(f"heldout: {message}\n")
    pod.leave_word(f"heldout: {message}")


def no_space(error: BaseException) -> str | None:
    """What to say where an error came of a full volume; None where it did not."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    full = any(isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT) for one in chain)
    # libraries that write by themselves say it in words of their own
    here = Path.cwd()
    if not full and shutil.disk_usage(here).free >= FULL_BYTES:
        return None
    return (
        f"no space is left to write to, in {here} or beside it ({error}). Free some, or give the volume more; the same "
        "command goes on from the last checkpoint."
    )
