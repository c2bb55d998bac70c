"""How a fit can end before its time."""

from __future__ import annotations

from heldout.errors import SIGNALLED, Disrupted, UserError


class Diverged(Exception):
    """The loss is no longer a finite number; the run ends as failed."""


class Interrupted(Exception):
    """SIGTERM or SIGINT arrived; the run can be resumed from its last checkpoint."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:
        """As a shell says it: 128 + the signal."""
        return SIGNALLED + self.signal_number


class AlreadyRunning(UserError):
    """The same configuration is being trained by another process."""


class WrongPlace(UserError):
    """The environment does not say which node of a training this is, or the node cannot do what is asked."""


class NodeDiffers(UserError):
    """A node was given another config, or has other data or code, than the first."""


class NodeMissing(Disrupted):
    """A node of a training has not come in time."""


class NodeLost(Disrupted):
    """The first node of a training is gone; with it the others end."""


class TooManyWorkers(UserError):
    """There are more workers than there is for them to do, or to do it with."""


class WorkerLost(Disrupted):
    """A worker process of a fit has died; the fit can be resumed from its last checkpoint."""


class WorkerFailed(Exception):
    """A worker of a fit raised an error of its own."""
