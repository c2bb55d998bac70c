"""Schema of `explain`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from omegaconf import MISSING

from heldout.config.tracking import TrackingConfig


class Method(Enum):
    """How attributions are made."""

    integrated_gradients = "integrated_gradients"  # gradients along the path from the mean of train to the example
    occlusion = "occlusion"  # the fall of the logit when a part is hidden
    attention_rollout = "attention_rollout"  # the flow of attention through a transformer


class ExplainedSplit(Enum):
    """Whose examples are explained; the test set is for the final number only."""

    train = "train"
    validation = "validation"


@dataclass
class ExplainConfig:
    """Attributions of a trained network, and whether they change with its weights."""

    # the run: folder of a record, or id of a run in MLflow
    run: str = MISSING
    # folder of the figures; null takes `explain` in the folder of the record, or below `explained` where that folder
    # belongs to DVC
    out: str | None = None
    # folder of the prepared data; null takes the one the run was trained on
    prepared: str | None = None
    # null takes all that the network has a use for
    methods: list[Method] | None = None
    split: ExplainedSplit = ExplainedSplit.validation
    # chosen at random, the same for every run on the data
    examples: int = 8
    # of integrated gradients, on the path from the mean of train to the example
    steps: int = 32
    # side of the hidden window on images and series; null takes an eighth of the axis
    window: int | None = None
    # of the random weights that attributions are compared under
    seed: int = 0
    tracking: TrackingConfig = MISSING
