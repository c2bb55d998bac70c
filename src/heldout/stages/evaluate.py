"""The stage `evaluate`."""

from __future__ import annotations

import logging

from heldout.config.stages import EvaluateConfig
from heldout.training.evaluate import evaluate

logger = logging.getLogger(__name__)


def run(config: EvaluateConfig) -> None:
    """Opens the test set, once for every finished run below `config.runs`."""
    records = evaluate(config)
    finished = [record for record in records if record.info["status"] == "finished"]
    logger.info("%d of %d runs have test results, records in %s", len(finished), len(records), config.out)
