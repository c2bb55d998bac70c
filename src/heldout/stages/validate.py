"""The stage `validate`."""

from __future__ import annotations

import logging
from pathlib import Path

from heldout.config.stages import ValidateConfig
from heldout.data.quality import check
from heldout.training.prepared import find_or_prepare

logger = logging.getLogger(__name__)

POLICY_VIOLATED = 1


def run(config: ValidateConfig) -> int:
    """Checks prepared data against the policy and writes the quality report; 1 when a check of level `fail` fails."""
    prepared = find_or_prepare(config.data, config.prepared)
    report = check(prepared.folder, config.quality)
    out = Path(config.out or "")
    path = out if out.suffix == ".json" else out / "quality.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report.to_json(), encoding="utf-8")
    for finding in report.findings:
        if not finding.passed:
            logger.log(logging.ERROR if finding.level == "fail" else logging.WARNING, "%s", finding.message)
    logger.info("%s: quality report in %s", config.data.name, path)
    return POLICY_VIOLATED if report.failed else 0
