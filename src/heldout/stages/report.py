"""The stage `report`."""

from __future__ import annotations

import logging
from pathlib import Path

from heldout.analysis import Comparison
from heldout.config.stages import ReportConfig
from heldout.report import write_report

logger = logging.getLogger(__name__)


def run(config: ReportConfig) -> None:
    """One self-contained HTML page from the comparisons."""
    write_report([Comparison.read(Path(folder)) for folder in config.comparisons], Path(config.out))
    logger.info("report in %s", config.out)
