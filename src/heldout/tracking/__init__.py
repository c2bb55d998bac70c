"""Runs in MLflow, told of from a thread of their own; what they were made from.

    tracking = connect(config.tracking)
    with tracking.start_run("mnist1d-cnn") as parent:
        with tracking.start_run("seed 0", parent=parent) as run:
            run.log_metrics({"train/loss": 0.3}, step=1)

Training knows only `Tracking` and `RunTracker`; MLflow's own classes stay in here, and MLflow is imported when a store
is opened.
"""

from heldout.tracking.runs import Tracking, connect
from heldout.tracking.sync import sync
from heldout.tracking.tracker import RunTracker

__all__ = ["RunTracker", "Tracking", "connect", "sync"]
