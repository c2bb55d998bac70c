"""Mistakes that the person who starts a sweep can mend."""

from __future__ import annotations

from hydra.errors import CompactHydraException


class SweepError(CompactHydraException):
    """A sweep that cannot be started or continued; Hydra shows the message without a traceback."""


class SpaceError(SweepError):
    """A search space that cannot be searched."""


class SettingError(SweepError):
    """A value below `hydra.sweeper` that names nothing or is out of range."""


class SweepChanged(SweepError):
    """The folder holds a sweep over something else."""


class JournalDamaged(SweepError):
    """What an earlier start wrote down cannot be read."""


class SweepInUse(SweepError):
    """Another process runs the sweep of this name."""


class ClusterError(SweepError):
    """The Ray cluster cannot be used, or has not what a trial needs."""


class ClusterAway(ClusterError):
    """The Ray cluster does not answer; it may do so later."""


class StorageError(SweepError):
    """The storage cannot be written, or is not seen by every node."""


class NothingReported(SweepError):
    """No trial gave the objective that the sweep is to improve."""
