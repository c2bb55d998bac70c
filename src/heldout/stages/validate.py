"""The stage `validate`."""

from __future__ import annotations

import logging
from pathlib import Path

from heldout.config.stages import ValidateConfig
from heldout.data.errors import PolicyViolated
from heldout.data.quality import Finding, check
from heldout.training.prepared import find_or_prepare

logger = logging.getLogger(__name__)


def run(config: ValidateConfig) -> None:
    """Checks prepared data against the policy and writes the quality report.

    Beside the report, data that pass get a file that says just that: what is to run on checked data depends on it, and
    not on the numbers and limits of the report.

    Raises:
        PolicyViolated: a check of level `fail` failed; the report is written nevertheless.
    """
    prepared = find_or_prepare(config.data, config.prepared)
    report = check(prepared.folder, config.quality)
    out = Path(config.out or "")
    path = out if out.suffix == ".json" else out / "quality.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report.to_json(), encoding="utf-8")
    passed = path.with_suffix(".passed")
    passed.unlink(missing_ok=True)
    for finding in report.warnings:
        logger.warning("%s", finding.message)
    if report.failed:
        raise PolicyViolated(_complaint(config.data.name, report.failed, path))
    passed.write_text(f"{report.data_hash}\n", encoding="utf-8")
    logger.info("%s: quality report in %s", config.data.name, path)


def _complaint(name: str, failed: list[Finding], path: Path) -> str:
    lines = [f"  quality.{one.check}: {one.message} ({one.value:g}, expected at most {one.limit:g})" for one in failed]
    return "\n".join(
        [
            f"{name} does not meet the quality policy:",
            *lines,
            f"Mend the data, or change the policy in conf/quality. The whole report is in {path}.",
        ]
    )
