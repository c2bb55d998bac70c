"""A run whose id is kept in a folder, so that each start of the same work goes on with it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heldout.tracking.errors import RunRefused
from heldout.tracking.runs import Tracking
from heldout.tracking.tracker import RunTracker

logger = logging.getLogger(__name__)

RUN_FILE = "mlflow.json"


def remembered_run(
    tracking: Tracking, folder: Path, work: str, name: str, tags: Mapping[str, str], params: Mapping[str, Any]
) -> RunTracker:
    """Begins the run of some work, a "sweep" or a "study", or goes on with that of its earlier start.

    `folder` is made once the run is there, and holds its id. System metrics are not sampled: others run below it.

    Raises:
        TrackingUnavailable: the store does not answer.
    """
    file = folder / RUN_FILE
    known = json.loads(file.read_text(encoding="utf-8"))["run_id"] if file.is_file() else None
    try:
        run = tracking.start_run(name, resume_run_id=known, tags=tags, params=params, system_metrics=False)
    except RunRefused as error:
        if known is None:
            raise
        logger.warning("%s; the %s goes on as a new run", error, work)
        run = tracking.start_run(name, tags=tags, params=params, system_metrics=False)
    folder.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps({"run_id": run.run_id}), encoding="utf-8")
    partial.replace(file)
    return run
