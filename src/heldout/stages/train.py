"""The stage `train`."""

from __future__ import annotations

import logging

from heldout.config.stages import TrainConfig
from heldout.errors import RUNS_FAILED
from heldout.inside import read_inside
from heldout.record import Record
from heldout.tracking import connect
from heldout.training.errors import Interrupted
from heldout.training.other_node import take_part
from heldout.training.place import place_of
from heldout.training.train import train

logger = logging.getLogger(__name__)


def run(config: TrainConfig) -> int:
    """Fits a configuration: 0 when a seed finished, 3 when none did, 128 + the signal when interrupted.

    On another node than the first of a training, takes part in the fits of that one, and returns its code.
    """
    place = place_of(config.trainer.nodes)
    try:
        if place is not None and place.rank > 0:
            return take_part(config, place)
        records = train(config)
    except Interrupted as interruption:
        logger.warning("%s: %s; the same command goes on from the last checkpoint", config.name, interruption)
        return interruption.exit_code
    finished = [record for record in records if record.info["status"] == "finished"]
    for record in records:
        if record not in finished:
            logger.error("%s  seed %d failed: %s", config.name, record.info["seed"], record.info["error"])
    logger.info("%s: %d of %d runs finished, records in %s", config.name, len(finished), len(records), config.out)
    if not finished:
        return RUNS_FAILED
    if not config.is_baseline:
        _log_curves(config, finished)
    return 0


def _log_curves(config: TrainConfig, finished: list[Record]) -> None:
    from heldout.report import figures
    from heldout.report.inside import layers_figure

    parent = connect(config.tracking).reopen(finished[0].info["mlflow"]["parent_run_id"])
    histories = [record.history for record in finished]
    parent.log_figure_html("loss_curves", figures.page(figures.loss_curves(histories, finished[0].task)))
    parent.log_figure_html("gap_curves", figures.page(figures.gap_curves(histories, finished[0].task)))
    if (inside := read_inside(finished[0].path)) is not None:
        parent.log_figure_html("layers", figures.page(layers_figure(inside)))
    parent.finish()
