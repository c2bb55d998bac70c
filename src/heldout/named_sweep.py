"""The sweeps of the pipeline: run by name, their results kept where the pipeline reads them."""

from __future__ import annotations

import shutil
from pathlib import Path

from heldout import app
from heldout.config.compose import conf_dir
from heldout.config.errors import ConfigError, closest, listed
from heldout.config.snapshot import read_matrix
from heldout.config.tuned import BEST_FILE, FOLDER, TRIALS_FILE
from heldout.tuning.settings import FOLDER as SWEEPS


def run_named(name: str) -> int:
    """Runs the sweep that conf/matrix.yaml calls `name`, or what is left of it; returns its exit code.

    Its best configuration and its table of trials go to tuned/NAME.

    Raises:
        ConfigError: there is no such sweep.
    """
    sweeps = read_matrix(conf_dir() / "matrix.yaml").sweeps
    if name not in sweeps:
        raise ConfigError(
            f"conf/matrix.yaml has no sweep '{name}'.{closest(name, sweeps)} Expected one of: {listed(sweeps)}."
        )
    sweep = sweeps[name]
    code = app.main(
        "train",
        [
            "-m",
            "hydra/sweeper=ray_tune",
            f"data={sweep.data}",
            f"model={sweep.model}",
            *sweep.overrides,
            f"sweep.name={name}",
        ],
    )
    if code == 0:
        _keep(Path(SWEEPS) / name, FOLDER / name)
    return code


def _keep(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in (TRIALS_FILE, BEST_FILE):
        partial = target / f"{file}.partial"
        shutil.copy2(source / file, partial)
        partial.replace(target / file)
