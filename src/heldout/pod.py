"""A process in a pod of a Kubernetes Job: what it knows of its place, and the last word it leaves there.

The manifests in k8s/jobs set the variables; without them nothing here does anything. `kubectl describe pod` shows the
last word, also when the log is gone.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)

JOB_VARIABLE, IMAGE_VARIABLE = "HELDOUT_JOB", "HELDOUT_IMAGE"
# tags of every run in MLflow, and the variables they come from
TAGS = {
    "heldout.job": JOB_VARIABLE,
    "heldout.pod": "HELDOUT_POD",
    "heldout.namespace": "HELDOUT_NAMESPACE",
    "heldout.image": IMAGE_VARIABLE,
}
# what a process elsewhere, that works for this job, is told; its pod is another
SHARED_VARIABLES = (JOB_VARIABLE, "HELDOUT_NAMESPACE", IMAGE_VARIABLE)
# the file that Kubernetes shows; a pod may set another, as its terminationMessagePath
WORD_VARIABLE, WORD_FILE = "HELDOUT_TERMINATION_LOG", "/dev/termination-log"
# the run that this job is about, so that stages in processes of their own know of it too
RUN_VARIABLE = "HELDOUT_JOB_RUN"
# Kubernetes keeps 4096 bytes
MAX_WORD_BYTES = 4000


def in_job() -> bool:
    """Whether this process belongs to a Job of Heldout."""
    return bool(os.environ.get(JOB_VARIABLE))


def tags() -> dict[str, str]:
    """Of every run in MLflow that is begun here: the Job, its namespace and image, and this pod."""
    if not in_job():
        return {}
    return {tag: value for tag, name in TAGS.items() if (value := os.environ.get(name))}


def shared_variables() -> dict[str, str]:
    """Environment of processes in other pods that work for this Job."""
    return {name: os.environ[name] for name in SHARED_VARIABLES if name in os.environ}


def introduce(run_id: str, address: str) -> None:
    """Says which run this Job is about; the first one that is introduced is the one."""
    if in_job() and RUN_VARIABLE not in os.environ:
        line = f"run {run_id} at {address}"
        os.environ[RUN_VARIABLE] = line
        logger.info("%s", line)
        _write(line)


def said_end(run_id: str, text: str) -> None:
    """Says how that run ended, unless an error was said before."""
    line = os.environ.get(RUN_VARIABLE, "")
    if in_job() and line.startswith(f"run {run_id} ") and _word() == line:
        _write(f"{line}\n{text}")


def leave_word(text: str) -> None:
    """Leaves an error, or another last word, where `kubectl describe pod` shows it."""
    if in_job():
        _write("\n".join(filter(None, [os.environ.get(RUN_VARIABLE), text])))


def _file() -> Path:
    return Path(os.environ.get(WORD_VARIABLE, WORD_FILE))


def _word() -> str:
    return _file().read_text(encoding="utf-8") if _file().is_file() else ""


def _write(text: str) -> None:
    if not _file().is_file():
        return
    # the end says what went wrong
    content = text.encode()[-MAX_WORD_BYTES:].decode(errors="ignore")
    try:
        _file().write_text(content, encoding="utf-8")
    except OSError as error:
        logger.warning("%s cannot be written: %s", _file(), error)
