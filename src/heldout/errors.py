"""Errors that are the user's to mend: one message, no traceback, exit code 2."""

from __future__ import annotations

USER_ERROR_EXIT_CODE = 2
# of a training whose runs all failed, and said so in their records
RUNS_FAILED = 3


class UserError(Exception):
    """Base of every mistake a user can mend.

    The message says what was given, what was expected and how to mend it.
    """
