"""A folder that the pipeline can run in, where the code comes in an image that nobody may write to."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import heldout
from heldout.config.compose import conf_dir
from heldout.jobs.errors import JobError
from heldout.jobs.targets import Targets

# what the stages of dvc.yaml read; src is added
PARTS = ("conf", "pipelines", "tuned", "dvc.yaml", ".dvcignore", ".dvc/plots")
LOCK_FILE = "dvc.lock"
REMOTE = "heldout"
BYTE_CODE = shutil.ignore_patterns("__pycache__", "*.pyc")


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Holds the folder for this process.

    Raises:
        JobError: another pipeline is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JobError(
                f"another pipeline is at work in {folder}; expected none. Wait for it, or stop it."
            ) from None
        # DVC's own, of a process that was killed: in another pod its number is that of another process, and it would
        # be waited for in vain
        (folder / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)
        yield


def refresh(folder: Path, targets: Targets, remote: str) -> None:
    """Puts config and code as they are now into the folder; what the pipeline has made there stays.

    Args:
        remote: address of the DVC remote; empty for none.
    """
    app = conf_dir().parent
    for part in PARTS:
        _replace(app / part, folder / part)
    # the code that runs, wherever it is installed
    _replace(Path(heldout.__file__).parent, folder / "src" / "heldout")
    if targets.profile is not None:
        shutil.copy2(folder / "conf" / "matrix" / f"{targets.profile}.yaml", folder / "conf" / "matrix.yaml")
    _write_dvc_config(folder / ".dvc" / "config", remote)
    if not (folder / LOCK_FILE).exists() and (app / LOCK_FILE).is_file():
        shutil.copy2(app / LOCK_FILE, folder / LOCK_FILE)


def _write_dvc_config(file: Path, remote: str) -> None:
    # all that `dvc init` and `dvc remote add` would do, in two processes
    lines = ["[core]", "    no_scm = true", "    analytics = false", "    check_update = false"]
    if remote:
        lines += [f"    remote = {REMOTE}", f"['remote \"{REMOTE}\"']", f'    url = "{remote}"']
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join([*lines, ""]), encoding="utf-8")


def _replace(source: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    if source.is_dir():
        shutil.copytree(source, target, ignore=BYTE_CODE)
        _make_writable(target)
    elif source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    else:
        target.unlink(missing_ok=True)


def _make_writable(folder: Path) -> None:
    # with the rights of files in an image the next refresh could not take them away
    for path in (folder, *(one for one in folder.rglob("*") if one.is_dir())):
        path.chmod(path.stat().st_mode | 0o700)
