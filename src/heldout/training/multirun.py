"""One parent run in MLflow for a whole Hydra multirun."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from heldout.config.tracking import TrackingConfig
from heldout.errors import UserError, complain
from heldout.training.place import place_of

if TYPE_CHECKING:
    from heldout.tracking.tracker import RunTracker, Status

# inherited by the processes of launchers that start some
PARENT_VARIABLE = "HELDOUT_MULTIRUN_PARENT"

_open_parents: list[RunTracker] = []


class MultirunParent(Callback):
    """Begins the parent before the first job of `-m` and ends it after the last."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        # MLflow is imported here only: a single run or `--cfg` comes through this module too
        from heldout.tracking import connect

        if "ray_tune_sweeper" in config.hydra.sweeper._target_:
            # a sweep has a parent of its own, that it goes on with
            return

        name = f"multirun {' '.join(config.hydra.overrides.task)}"
        try:
            place = place_of(OmegaConf.select(config, "trainer.nodes") or 1)
            if place is not None and place.rank > 0:
                # the first node alone tracks
                return
            parent = connect(_tracking(config)).start_run(name, tags={"heldout.kind": "multirun"})
        except UserError as error:
            # Hydra makes a warning of any other exception and goes on to jobs that would all fail alike
            raise SystemExit(complain(error)) from error
        _open_parents.append(parent)
        os.environ[PARENT_VARIABLE] = parent.run_id

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        end_parent("FINISHED")


def end_parent(status: Status) -> None:
    """Ends the parent of the multirun, if it has not ended yet: Hydra calls nothing when a sweep breaks off."""
    while _open_parents:
        os.environ.pop(PARENT_VARIABLE, None)
        _open_parents.pop().finish(status)


def _tracking(config: DictConfig) -> TrackingConfig:
    typed = OmegaConf.to_object(config.tracking)
    assert isinstance(typed, TrackingConfig)
    return typed
