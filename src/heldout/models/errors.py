"""What can be wrong with a model, as far as the user can mend it."""

from __future__ import annotations

from heldout.errors import UserError


class UnsuitableModel(UserError):
    """A family, or a setting of it, that cannot read this data."""


class UnreadableModelFile(UserError):
    """A model file that is absent, damaged, of another model, or holds what is not trusted."""


class UnfittableData(UserError):
    """Examples that a baseline cannot be fitted to."""


class NotShared(UserError):
    """A layer that cannot be trained on a share of each batch."""
