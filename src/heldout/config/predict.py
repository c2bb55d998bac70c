"""Schema of `predict`."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from heldout.config.explain import ExplainedSplit
from heldout.config.tracking import TrackingConfig


@dataclass
class PredictConfig:
    """What a trained model says of examples."""

    # the run that fitted the model: its id in MLflow, or the folder of its record; or a model of MLflow's registry, as
    # models:/NAME/VERSION or models:/NAME@ALIAS
    run: str = MISSING
    # csv or parquet file of the user's, with the columns that the model was trained on: tables, ratings, texts, and
    # series in the layout of their training; to be translated also a .txt file, a text a line; of recordings the file
    # that lists them, a folder, or one of them; null takes prepared data
    path: str | None = None
    # of the file: the column of ids; null numbers the rows
    id: str | None = None
    # csv only
    separator: str = ","
    # csv only
    encoding: str = "utf-8"
    # without path: folder of the prepared data; null takes the one the model was trained on
    prepared: str | None = None
    # of the prepared data; the test set is for the final number, which `evaluate` gives
    split: ExplainedSplit = ExplainedSplit.validation
    # of a model that draws images: how many
    draw: int = 60
    # of a model that draws images: seed of the first; each following one has the next
    seed: int = 0
    # folder of the predictions; null takes Hydra's output folder
    out: str | None = None
    tracking: TrackingConfig = MISSING
