"""The steps of docs/how-to/add-a-family.md, followed in a copy of the project, make a family that works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "add-a-family.md"
SCHEMA = "src/heldout/config/model.py"


def blocks() -> dict[str, str]:
    """The code blocks of the page by what their first line, a comment, says they belong to."""
    found = re.findall(r"```(?:python|yaml)\n# ([^\n]+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return dict(found)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the page needs: the package, its configs and the tests of models."""
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("src/heldout", "conf", "tests/models"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignore)
    for file in ("pyproject.toml", "tests/__init__.py", "tests/conftest.py"):
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def test_the_documented_steps_suffice(project: Path) -> None:
    steps = blocks()
    assert set(steps) == {SCHEMA, "FAMILIES", "src/heldout/models/fcn.py", "conf/model/fcn.yaml"}
    schema = (project / SCHEMA).read_text(encoding="utf-8")
    above, families = schema.split("\nFAMILIES: ")
    families = families.replace("\n)", f"\n    {steps.pop('FAMILIES').strip()},\n)")
    (project / SCHEMA).write_text(f"{above}\n{steps.pop(SCHEMA)}\n\nFAMILIES: {families}", encoding="utf-8")
    for path, content in steps.items():
        (project / path).write_text(content, encoding="utf-8")

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "tests/models/test_conformance.py",
            "-k",
            "fcn",
            "-q",
            "-p",
            "no:cacheprovider",
        ],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 30
