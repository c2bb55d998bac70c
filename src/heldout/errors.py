"""Errors that are the user's to mend: one message, no traceback, exit code 2."""

from __future__ import annotations

import sys

USER_ERROR_EXIT_CODE = 2
# what was lost may be there again: EX_TEMPFAIL of sysexits.h, by which a Job of Kubernetes is retried
DISRUPTED_EXIT_CODE = 75
# of a training whose runs all failed, and said so in their records
RUNS_FAILED = 3
# as a shell says that a signal ended a process: this + the signal
SIGNALLED = 128


class UserError(Exception):
    """Base of every mistake a user can mend.

    The message says what was given, what was expected and how to mend it.
    """

    exit_code = USER_ERROR_EXIT_CODE


class Disrupted(UserError):
    """Something that is needed was lost, or is not there yet; the same command again goes on, or may come further."""

    exit_code = DISRUPTED_EXIT_CODE


def complain(error: UserError) -> int:
    """Says a user's mistake on standard error; returns the exit code for it."""
    sys.stderr.write(f"heldout: {error}\n")
    return error.exit_code
