"""Schema of the `transfer` group."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class TransferConfig:
    """What a network begins with, and in which order and at which rates its layers go on from there."""

    name: str = "none"
    # efficientnet_lite0 or minilm (extra `pretrained`), a file, the folder of a record, runs:/ID of a run in MLflow, or
    # a model of its registry, models:/NAME/VERSION or models:/NAME@ALIAS; null begins at random
    weights: str | None = None
    # hash that the file of weights must have; null takes any
    sha256: str | None = None
    # epochs at the beginning in which the classifier alone is trained
    frozen_epochs: int = 0
    # leave the running statistics of normalisations as they are, and normalise by them: few examples would spoil them
    fixed_statistics: bool = False
    # learning rate of a layer as a share of that of the layer after it, the classifier having the full one; 1 gives all
    # the same
    layer_decay: float = 1.0
