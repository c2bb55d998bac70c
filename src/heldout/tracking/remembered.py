"""A run whose id is kept in a folder, so that each start of the same work goes on with it."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
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

    `folder` holds its id, and first the token by which a run is found whose process was killed before it could note
    that. It is not left behind where no run could be begun. System metrics are not sampled: others run below it.

    Raises:
        TrackingUnavailable: the store does not answer.
    """
    file = folder / RUN_FILE
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    token = known.get("token") or uuid.uuid4().hex
    start = partial(tracking.start_run, name, tags=tags, params=params, system_metrics=False, token=token)
    with _left_only_if_begun(file):
        _write(file, {**known, "token": token})
        try:
            run = start(resume_run_id=known.get("run_id"))
        except RunRefused as error:
            if "run_id" not in known:
                raise
            logger.warning("%s; the %s goes on as a new run", error, work)
            run = start()
    _write(file, {"token": token, "run_id": run.run_id})
    return run


@contextmanager
def _left_only_if_begun(file: Path) -> Iterator[None]:
    """Takes back the file, and the folders made for it, where the block raises; what was there before stays."""
    if file.exists():
        yield
        return
    made = [folder for folder in file.parents if not folder.exists()]
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        file.unlink(missing_ok=True)
        for folder in made:
            if any(folder.iterdir()):
                break
            folder.rmdir()
        raise


def _write(file: Path, content: dict[str, str]) -> None:
    partial_file = file.with_suffix(".partial")
    partial_file.write_text(json.dumps(content), encoding="utf-8")
    partial_file.replace(file)
