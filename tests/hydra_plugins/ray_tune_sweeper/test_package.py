"""The plugin is light where Hydra looks for plugins, and stands alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hydra_plugins import ray_tune_sweeper

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("ray", "pyarrow", "optuna", "numpy", "rich", "torch", "pandas", "heldout")


def test_scan_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from hydra.core.plugins import Plugins\n"
        "found = Plugins.instance().class_name_to_class\n"
        "assert 'hydra_plugins.ray_tune_sweeper.ray_tune_sweeper.RayTuneSweeper' in found\n"
        f"print(*(name for name in {HEAVY} if name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout.split() == []
    assert done.stderr == ""


def test_public_names_are_there() -> None:
    for name in ray_tune_sweeper.__all__:
        assert getattr(ray_tune_sweeper, name).__module__.startswith("hydra_plugins.ray_tune_sweeper._")
    with pytest.raises(AttributeError, match="has no attribute 'reports'"):
        _ = ray_tune_sweeper.reports


def test_outside_of_a_sweep_nothing_happens() -> None:
    assert ray_tune_sweeper.trial() is None
    ray_tune_sweeper.report({"objective": 1.0}, save=lambda folder: folder.rmdir())


@pytest.mark.parametrize("project", ["src/hydra_plugins", "."])
def test_wheels_hold_the_plugin(tmp_path: Path, project: str) -> None:
    # a copy: a build writes beside its sources
    copy = tmp_path / "copy"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    shutil.copytree(ROOT / "src", copy / "src", ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(copy / project)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "hydra_plugins/__init__.py" not in names
    modules = {f"hydra_plugins/ray_tune_sweeper/{path.name}" for path in (ROOT / "src").rglob("ray_tune_sweeper/*.py")}
    assert modules <= names
    if project != ".":
        assert wheel.name.startswith("hydra_ray_tune_sweeper-")
        assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"hydra_plugins"}
