"""Why a model cannot predict what it is given."""

from __future__ import annotations

from heldout.errors import UserError


class NoModel(UserError):
    """There is no model where one was named."""


class DoesNotFit(UserError):
    """A file, or prepared data, is not of the form that a model was trained on."""
