"""A Job of k8s/jobs with other overrides, for `kubectl create -f -`. Asks no cluster, and imports nothing heavy."""

from __future__ import annotations

import re
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from heldout import pod
from heldout.config.compose import project_path
from heldout.config.errors import closest, listed
from heldout.jobs.content import DIRTY, Content, content_of
from heldout.jobs.errors import JobError
from heldout.jobs.nodes import with_nodes

PREFIX = "heldout.dev/"
CONTAINER = "heldout"
# the name of a pod is that of its Job and more
MAX_NAME = 52
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
# a label holds 63 characters
SHORT_HASH = 16
NAMES_THE_JOB = f"$({pod.JOB_VARIABLE})"


@dataclass(frozen=True)
class Wanted:
    """What is asked for; None leaves what the kustomization says."""

    kind: str
    overrides: list[str]
    multirun: bool = False
    name: str | None = None
    image: str | None = None
    namespace: str | None = None


def jobs_dir() -> Path:
    """The folder k8s/jobs of the project."""
    return project_path("k8s/jobs")


@dataclass(frozen=True)
class Rendered:
    """The objects of a job as YAML, and what whoever sends them should know; None where there is nothing."""

    text: str
    warning: str | None


def render(wanted: Wanted) -> Rendered:
    """The job, asked for with overrides or as its kustomization has it.

    Raises:
        JobError: there is no such kind, the name cannot be one, or kubectl is missing.
        ConfigError: the overrides go against the schema.
    """
    if wanted.name is not None and not (NAME.fullmatch(wanted.name) and len(wanted.name) <= MAX_NAME):
        raise JobError(
            f"--name {wanted.name}: expected at most {MAX_NAME} lower-case letters, digits and dashes, without a dash "
            "at either end."
        )
    objects = _built(wanted.kind)
    jobs = [one for one in objects if one["kind"] == "Job"]
    if len(jobs) != 1:
        raise JobError(f"{jobs_dir() / wanted.kind} builds {len(jobs)} Jobs; expected one.")
    container = _container(jobs[0])
    command, example, kept = _template(container["args"])
    overrides = with_nodes(jobs[0], wanted.overrides or example, example)
    content = content_of(command, overrides, wanted.multirun)
    given = {override.lstrip("+~").partition("=")[0] for override in overrides}
    if wanted.multirun and "-m" not in command:
        command = [*command, "-m"]
        # a folder of a multirun, not of a run
        kept = [override.replace("hydra.run.dir=outputs/", "hydra.sweep.dir=multirun/") for override in kept]
    kept = [override for override in kept if override.partition("=")[0] not in given]
    name = wanted.name or _name(wanted.kind, content.words)
    # Kubernetes puts values of variables in the place of $(NAME)
    container["args"] = [*command, *(one.replace("$(", "$$(") for one in overrides), *kept]
    if wanted.image is not None:
        _set_image(container, wanted.image)
    _describe(jobs[0], name, content, container["image"], overrides)
    for one in objects if wanted.namespace is not None else ():
        one["metadata"]["namespace"] = wanted.namespace
    text = yaml.safe_dump_all(objects, sort_keys=False, allow_unicode=True, width=2**16)
    return Rendered(text, _warning(content.commit))


def _built(kind: str) -> list[dict[str, Any]]:
    folder = jobs_dir()
    kinds = sorted(path.parent.name for path in folder.glob("*/kustomization.yaml"))
    if not kinds:
        raise JobError(f"there are no jobs in {folder}; expected k8s/jobs of a checkout of Heldout. Work in one.")
    if kind not in kinds:
        raise JobError(f"there is no job '{kind}'.{closest(kind, kinds)} Expected one of: {listed(kinds)}.")
    if shutil.which("kubectl") is None:
        raise JobError(
            "kubectl is not installed, or not on PATH; it builds the job, and sends it to the cluster. Install it, of "
            "version 1.27 or later."
        )
    done = subprocess.run(["kubectl", "kustomize", str(folder / kind)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise JobError(f"kubectl kustomize {folder / kind} failed: {done.stderr.strip()}")
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def _container(job: dict[str, Any]) -> dict[str, Any]:
    containers: list[dict[str, Any]] = job["spec"]["template"]["spec"]["containers"]
    found = [one for one in containers if one["name"] == CONTAINER]
    if not found or not found[0].get("args"):
        raise JobError(f"the job has no container '{CONTAINER}' with arguments; expected one to give overrides to.")
    return found[0]


def _template(arguments: list[str]) -> tuple[list[str], list[str], list[str]]:
    """The command of a job, its example of overrides, and those of Hydra's own, which stay."""
    command = [one for one in arguments if "=" not in one or one.startswith("hydra/")]
    rest = [one for one in arguments if one not in command]
    hydra = [one for one in rest if one.startswith("hydra.")]
    return command, [one for one in rest if one not in hydra], hydra


def _warning(commit: str | None) -> str | None:
    if commit is None or not commit.endswith(DIRTY):
        return None
    return (
        f"files here differ from commit {commit.removesuffix(DIRTY)[:12]}: the job runs what its image was built from, "
        "which may be something else. Commit, and build the image anew."
    )


def _set_image(container: dict[str, Any], image: str) -> None:
    container["image"] = image
    for variable in container["env"]:
        if variable["name"] == pod.IMAGE_VARIABLE:
            variable["value"] = image


def _name(kind: str, words: Sequence[str]) -> str:
    ending = f"-{secrets.token_hex(3)}"
    text = re.sub(r"[^a-z0-9]+", "-", "-".join([kind, *words]).lower())
    return text[: MAX_NAME - len(ending)].strip("-") + ending


def _describe(job: dict[str, Any], name: str, content: Content, image: str, overrides: list[str]) -> None:
    metadata = job["metadata"]
    metadata["name"] = name
    labels: dict[str, str | None] = {
        "commit": content.commit,
        "config-hash": content.config_hash and content.config_hash[:SHORT_HASH],
    }
    annotations: dict[str, str | None] = {
        "commit": content.commit,
        "config-hash": content.config_hash,
        "data-hash": content.data_hash,
        "image": image,
        "overrides": shlex.join(overrides),
        # for the search field of MLflow
        "runs": f"tags.\"heldout.job\" = '{name}'",
    }
    for key, values in (("labels", labels), ("annotations", annotations)):
        metadata.setdefault(key, {}).update({f"{PREFIX}{k}": value for k, value in values.items() if value})
