"""Mistakes around tracking that a user can mend."""

from __future__ import annotations

from heldout.errors import Disrupted, UserError


class TrackingAddressError(UserError):
    """The address of the tracking store is none that Heldout can use."""


class TrackingUnavailable(UserError):
    """The tracking store does not answer, or cannot be used."""


class TrackingAway(TrackingUnavailable, Disrupted):
    """A server does not answer: it may a little later."""


class LoginRefused(TrackingUnavailable):
    """A server asks for a login, and does not take the one it is given."""


class ExperimentError(UserError):
    """The experiment's name cannot be made, or the experiment was deleted."""


class RunRefused(UserError):
    """The store has no such run, or does not take a new one."""


class RunInUse(UserError):
    """Another process is telling the store of this run."""


class UnknownRun(UserError):
    """Neither a folder with a record nor a run of the store."""
