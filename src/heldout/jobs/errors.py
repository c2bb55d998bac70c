"""Mistakes around jobs that a user can mend."""

from __future__ import annotations

from heldout.errors import UserError


class JobError(UserError):
    """A job that Kubernetes would not take, or that this machine cannot write down."""
