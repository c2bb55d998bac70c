"""What a pipeline job is told: which profile it runs, and which stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from heldout.config.compose import conf_dir, project_path
from heldout.config.errors import ConfigError, closest, listed

PROFILE = "profile="


@dataclass(frozen=True)
class Targets:
    """profile: a file of conf/matrix; None takes conf/matrix.yaml as it is. stages: none takes all."""

    profile: str | None
    stages: list[str]


def read_targets(arguments: Sequence[str]) -> Targets:
    """From `profile=NAME` and names of stages, such as `prepare` or `prepare@digits`.

    Raises:
        ConfigError: an argument is neither, or there is no such profile or stage.
    """
    profiles = [one.removeprefix(PROFILE) for one in arguments if one.startswith(PROFILE)]
    stages = [one for one in arguments if not one.startswith(PROFILE)]
    if len(profiles) > 1:
        raise ConfigError(f"{' '.join(PROFILE + one for one in profiles)}: expected one profile.")
    known = sorted(path.stem for path in (conf_dir() / "matrix").glob("*.yaml"))
    if profiles and profiles[0] not in known:
        raise ConfigError(
            f"there is no profile '{profiles[0]}'.{closest(profiles[0], known)} Expected: {listed(known)}."
        )
    existing = list(yaml.safe_load(project_path("dvc.yaml").read_text(encoding="utf-8"))["stages"])
    for stage in stages:
        if stage.partition("@")[0] not in existing:
            raise ConfigError(
                f"'{stage}' is no stage of the pipeline.{closest(stage, existing)} Expected profile=NAME, or stages "
                f"among: {listed(existing)}. Settings of single stages are changed in conf/, and come with the image."
            )
    return Targets(profiles[0] if profiles else None, stages)
