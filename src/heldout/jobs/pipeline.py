"""The whole pipeline as a job: in a working copy, with what the DVC remote has, under one run in MLflow."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from heldout import pod
from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.tracking import URI_VARIABLE, TrackingConfig
from heldout.jobs.children import Children
from heldout.jobs.copy import LOCK_FILE, alone_in, refresh
from heldout.jobs.errors import JobError
from heldout.jobs.remote import REMOTE_VARIABLE, check_remote
from heldout.jobs.targets import Targets, read_targets
from heldout.logs import configure_logging
from heldout.tracking import Tracking, connect
from heldout.tracking.remembered import remembered_run
from heldout.tracking.store import resolve_uri
from heldout.training.multirun import PARENT_VARIABLE

logger = logging.getLogger(__name__)

FOLDER = Path("pipeline")
# where an unfinished pipeline keeps which run it is
RUN_FOLDER = Path(".heldout/pipeline")
# says that a new working copy has what the last pipeline had
PULLED_FILE = Path(".dvc/pulled")
KIND = "pipeline"
DVC = (sys.executable, "-m", "dvc")


def run_pipeline(arguments: Sequence[str]) -> int:
    """Runs `profile=NAME` and stages, or all of the pipeline; returns its exit code.

    0: done. 128 + a signal: stopped, and the same command goes on. Else that of the stage that failed.

    Raises:
        UserError: the arguments, MLflow or the DVC remote cannot be used.
    """
    configure_logging()
    targets = read_targets(arguments)
    remote = os.environ.get(REMOTE_VARIABLE, "")
    settings = _tracking_settings()
    check_remote(remote)
    with alone_in(FOLDER), Children(FOLDER, _environment(settings)) as children:
        refresh(FOLDER, targets, remote)
        tracking = connect(settings)
        remembered = RUN_FOLDER / os.environ.get(pod.JOB_VARIABLE, "here")
        params = {"profile": targets.profile, "stages": targets.stages, "remote": remote or None}
        run = remembered_run(tracking, remembered, KIND, KIND, {"heldout.kind": KIND}, params)
        try:
            # the runs of its stages are shown below that of the pipeline
            children.add({PARENT_VARIABLE: run.run_id})
            code = _run(targets, remote, tracking, children)
            if (FOLDER / LOCK_FILE).is_file():
                run.log_artifact(FOLDER / LOCK_FILE)
        except BaseException as error:
            run.finish("FAILED", error)
            raise
        if children.exit_code is not None:
            run.finish("KILLED")
        elif code:
            run.finish("FAILED", f"heldout repro ended with {code}; what its last stage said stands above")
        else:
            run.finish("FINISHED")
            shutil.rmtree(remembered)
    return code


def _tracking_settings() -> TrackingConfig:
    with hydra_session():
        settings = to_stage(compose_stage("train", [])).tracking
    assert isinstance(settings, TrackingConfig)
    return settings


def _environment(settings: TrackingConfig) -> dict[str, str]:
    return {
        URI_VARIABLE: resolve_uri(settings.uri, Path.cwd()),
        "HELDOUT_CONF": str((FOLDER / "conf").resolve()),
        # by default below /var
        "DVC_SITE_CACHE_DIR": str((FOLDER / ".dvc" / "site").resolve()),
        "DVC_NO_ANALYTICS": "true",
    }


def _run(targets: Targets, remote: str, tracking: Tracking, children: Children) -> int:
    if remote:
        _pull(tracking, children)
    pull = ["--pull"] if remote else []
    code = children.call(sys.executable, "-m", "heldout", "repro", *pull, *targets.stages)
    # what was done before a failure is worth as much
    if remote and children.exit_code is None and (FOLDER / LOCK_FILE).is_file():
        logger.info("pushing to %s", remote)
        _must(children, *DVC, "push", "--run-cache")
    return code


def _pull(tracking: Tracking, children: Children) -> None:
    """Gets what earlier pipelines pushed: results of stages, and, into a new copy, all that the last pipeline had."""
    pulled = FOLDER / PULLED_FILE
    known = (FOLDER / LOCK_FILE).is_file() or tracking.download_last(KIND, LOCK_FILE, FOLDER)
    if pulled.exists() or not known:
        if not known:
            logger.info("no %s in the image or in MLflow: nothing to pull but results of single stages", LOCK_FILE)
        _must(children, *DVC, "fetch", "--run-cache")
    else:
        # what the remote lacks is made again; what a pull that was killed left behind is in nobody's way
        _must(children, *DVC, "pull", "--run-cache", "--allow-missing", "--force")
    if children.exit_code is None:
        pulled.touch()


def _must(children: Children, *command: str) -> None:
    code = children.call(*command)
    if code and children.exit_code is None:
        raise JobError(f"`{' '.join(['dvc', *command[len(DVC) :]])}` ended with {code}; its own message stands above.")
