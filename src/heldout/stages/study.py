"""The stage `study`."""

from __future__ import annotations

from heldout.config.stages import StudyRunConfig
from heldout.studies.plan import plan


def run(config: StudyRunConfig) -> int:
    """Runs a study, or what is left of it; returns the exit code."""
    # before anything heavy is imported
    cells = plan(config)
    from heldout.studies.run import run_study

    return run_study(config, cells)
