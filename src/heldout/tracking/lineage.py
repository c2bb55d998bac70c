"""What a run was made from, and whether that is still so. Imports neither torch nor MLflow.

A record, or a run of the store, names the hashes of its config, data, code and model; `verify` computes them again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

import heldout
from heldout.data.card import Card
from heldout.data.errors import DataError
from heldout.data.hashing import hash_file, hash_json
from heldout.errors import UserError
from heldout.record import CONFIG_FILE, RECORD_FILE, Record
from heldout.tracking.errors import UnknownRun

COMMIT_VARIABLE = "HELDOUT_GIT_COMMIT"
DVC_LOCK = Path("dvc.lock")
PACKAGES = (
    "heldout",
    "torch",
    "pytorch-lightning",
    "torchmetrics",
    "scikit-learn",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "mlflow",
    "hydra-core",
    "dvc",
)
COMMAND_SECONDS = 10.0
MODEL_FILES = ("weights.safetensors", "model.skops")


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Everything a run was made from."""

    # None outside a repository and its containers
    git_commit: str | None
    # whether tracked files differ from the commit; None where that cannot be known
    git_dirty: bool | None
    # SHA-256 of Heldout's source files
    code_hash: str
    # SHA-256 of the resolved config
    config_hash: str
    # of the card, and of the files it describes
    data_hash: str
    # folder of the prepared data, relative to the working folder if below it
    data_path: str
    # what dvc.lock says of that folder; None when DVC did not make it
    data_dvc_md5: str | None
    seed: int
    python: str
    platform: str
    # versions by name of the distribution
    packages: dict[str, str]
    hardware: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """For the record: values that JSON has."""
        return asdict(self)

    def tags(self) -> dict[str, str]:
        """For the tracking store; what is unknown is left out."""
        values: dict[str, Any] = {
            "mlflow.source.git.commit": self.git_commit,
            "git.commit": self.git_commit,
            "git.dirty": self.git_dirty,
            "hash.code": self.code_hash,
            "hash.config": self.config_hash,
            "hash.data": self.data_hash,
            "data.path": self.data_path,
            "data.dvc_md5": self.data_dvc_md5,
            "seed": self.seed,
            "python": self.python,
            "platform": self.platform,
            **{f"version.{name}": version for name, version in self.packages.items()},
            **{f"hardware.{name}": value for name, value in self.hardware.items()},
        }
        return {name: _tag(value) for name, value in values.items() if value is not None}


def collect(config: Mapping[str, Any], data: Path, data_hash: str, seed: int) -> Lineage:
    """The lineage of a run that is about to start in the working folder.

    Args:
        config: resolved, as the record keeps it.
        data: folder of the prepared data.
        data_hash: of its card.
    """
    commit, dirty = git_state()
    path = data.resolve()
    inside = path.is_relative_to(Path.cwd())
    return Lineage(
        git_commit=commit,
        git_dirty=dirty,
        code_hash=code_hash(),
        config_hash=config_hash(config),
        data_hash=data_hash,
        data_path=str(path.relative_to(Path.cwd()) if inside else path),
        data_dvc_md5=dvc_hash(data),
        seed=seed,
        python=platform.python_version(),
        platform=platform.platform(),
        packages=package_versions(),
        hardware=hardware(),
    )


@cache
def git_state(directory: Path | None = None) -> tuple[str | None, bool | None]:
    """The commit checked out in `directory` (the working folder), and whether tracked files differ from it.

    Without a repository, as in a container, the commit is that of `HELDOUT_GIT_COMMIT`.
    """
    commit = _output(["git", "rev-parse", "HEAD"], directory)
    if commit is None:
        return os.environ.get(COMMIT_VARIABLE), None
    changes = _output(["git", "status", "--porcelain", "--untracked-files=no"], directory)
    return commit, None if changes is None else bool(changes)


@cache
def code_hash() -> str:
    """SHA-256 over names and contents of Heldout's Python files, as they were when first asked for."""
    package = Path(heldout.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py"), key=lambda path: path.relative_to(package).as_posix()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(package).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def config_hash(config: Mapping[str, Any]) -> str:
    """SHA-256 of a resolved config; the order of its keys is no part of it."""
    return hash_json(json.loads(json.dumps(config, default=str)))


def dvc_hash(path: Path, lock: Path = DVC_LOCK) -> str | None:
    """What dvc.lock states of the output `path`; None when it is no output of DVC."""
    try:
        outs = _locked_outs(lock.resolve(), lock.stat().st_mtime_ns)
    except (OSError, yaml.YAMLError):
        return None
    return outs.get(path.resolve())


@cache
def _locked_outs(lock: Path, modified: int) -> dict[Path, str | None]:
    # a lock of many stages takes the parser written in Python a third of a second, for every run
    content = yaml.load(lock.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    outs = [out for stage in ((content or {}).get("stages") or {}).values() for out in stage.get("outs", ())]
    return {(lock.parent / out["path"]).resolve(): str(out["md5"]) if "md5" in out else None for out in outs}


@cache
def package_versions() -> dict[str, str]:
    """Installed versions of the packages that may change a result."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


@cache
def hardware() -> dict[str, Any]:
    """Model of the CPU, usable cores, memory in GB, names of the GPUs. The machine's name is left out: it is private,
    and says nothing of what it can do."""
    import psutil

    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "gpus": _gpus(),
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return _output(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.processor() or platform.machine()


def _gpus() -> list[str]:
    names = _output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"])
    return names.splitlines() if names else []


def _output(command: Sequence[str], directory: Path | None = None) -> str | None:
    """What a command prints; None when it is not installed or fails."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _tag(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class Difference:
    """Something that is no longer what the run was made from, or what it made."""

    # config, data, code or model
    what: str
    recorded: str
    # None when it is not there any more
    found: str | None
    # where was looked, and what to do
    remark: str

    def __str__(self) -> str:
        found = self.found[:12] if self.found else "nothing"
        return f"{self.what}: the run has {self.recorded[:12]}, found {found}. {self.remark}"


def verify(run: Path | str, uri: str | None = None) -> list[Difference]:
    """Computes the hashes of a run again and says what differs.

    What the run has no hash of is not compared.

    Args:
        run: folder of a record, or the id of a run in the tracking store.
        uri: address of that store; by default as `tracking.uri: null`.

    Raises:
        UnknownRun: it is neither.
        RecordError, TrackingUnavailable: the record or the store cannot be read.
    """
    folder = Path(run)
    if (folder / RECORD_FILE).is_file():
        info = Record.load(folder).info
        hashes = info.get("hashes", {})
        checks = _checks(hashes, info.get("lineage", {}).get("data_path"), folder)
        if "model" in hashes:
            checks["model"] = _model_in(folder) or _model_in_store(info.get("mlflow", {}))
    elif folder.exists() or os.sep in str(run):
        raise UnknownRun(f"{folder} holds no {RECORD_FILE}; expected the folder of a record or the id of a run.")
    else:
        from heldout.tracking.fetch import fetched_run

        with fetched_run(str(run), uri) as (hashes, data_path, files):
            checks = _checks(hashes, data_path, files)
            if "model" in hashes:
                checks["model"] = _model_in(files) or (None, "The run in MLflow has no model.")
    return [
        Difference(what, hashes[what], found, remark)
        for what, (found, remark) in checks.items()
        if found != hashes[what]
    ]


# what is found now, and what to say when it is not what the run has
_Check = tuple[str | None, str]


def _checks(hashes: Mapping[str, str], data_path: str | None, files: Path) -> dict[str, _Check]:
    checks: dict[str, _Check] = {}
    if "config" in hashes:
        file = files / CONFIG_FILE
        found = config_hash(yaml.safe_load(file.read_text(encoding="utf-8"))) if file.is_file() else None
        checks["config"] = found, f"{CONFIG_FILE} of the run was changed or is missing."
    if "data" in hashes and data_path is not None:
        checks["data"] = _data_now(Path(data_path))
    if "code" in hashes:
        checks["code"] = code_hash(), "Heldout's source is another now; check out the commit of the run to compare."
    return checks


def _model_in(folder: Path) -> _Check | None:
    models = [path for name in MODEL_FILES for path in sorted(folder.rglob(name))]
    return (hash_file(models[0]), f"{models[0]} was changed.") if models else None


def _model_in_store(mlflow: Mapping[str, str]) -> _Check:
    """A complete record leaves the model to the run in MLflow."""
    if "run_id" not in mlflow:
        return None, "The model file is missing."
    from heldout.tracking.fetch import fetched_run

    try:
        with fetched_run(mlflow["run_id"], mlflow["tracking_uri"]) as (_, _, files):
            return _model_in(files) or (None, "Neither the record nor its run in MLflow has the model.")
    except UserError as error:
        return None, f"The record has no model file, and its run cannot be read: {error}"


def _data_now(directory: Path) -> tuple[str | None, str]:
    try:
        card = Card.load(directory)
        card.verify(directory)
    except DataError as error:
        return None, str(error)
    return card.data_hash, f"{directory} was prepared anew, from other data or by another config."
