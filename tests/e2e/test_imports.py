"""What each command imports: data stages, analysis and the command line start without the heavy libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.project import clean_environment

HEAVY = {"torch", "pytorch_lightning", "lightning", "torchmetrics", "torchvision", "ray", "mlflow"}
VALIDATE = [str(ROOT / "pipelines" / "validate.py"), "out=quality.json"]
TABLE = ["data=table", "data.path=mine.csv", "data.target=label", "data.id=id", "quality.near_duplicates.level=off"]


def imported(folder: Path, *arguments: str) -> set[str]:
    """The names of all modules that `python ARGUMENTS` has imported when it ends."""
    (folder / "sitecustomize.py").write_text(
        "import atexit, os, sys\n"
        "atexit.register(lambda: open(os.environ['MODULES'], 'w').write('\\n'.join(sys.modules)))\n"
    )
    file = folder / "modules.txt"
    environment = clean_environment(HELDOUT_CONF=str(ROOT / "conf"), PYTHONPATH=str(folder), MODULES=str(file))
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return set(file.read_text().split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "import heldout"],
        ["-c", "import heldout.app, heldout.cli, heldout.warm"],
        ["-c", "import heldout.analysis, heldout.record"],
        ["-c", "import heldout.report.page, heldout.report.figures"],
        ["-c", "import heldout.tracking"],
        ["-m", "heldout", "--help"],
    ],
    ids=["heldout", "app", "analysis", "report", "tracking", "help"],
)
def test_without_the_heavy_libraries(tmp_path: Path, arguments: list[str]) -> None:
    assert imported(tmp_path, *arguments) & HEAVY == set()


@pytest.mark.parametrize("data", [["data=digits"], TABLE], ids=["digits", "table"])
def test_data_stages_without_the_heavy_libraries_and_without_pandas(tmp_path: Path, data: list[str]) -> None:
    rows = [f"p{i},{i * 1.25 if i % 29 else ''},{'abc'[i % 3]},{i % 2}" for i in range(60)]
    (tmp_path / "mine.csv").write_text("\n".join(["id,age,city,label", *rows]))
    # prepares the data too
    assert imported(tmp_path, *VALIDATE, *data) & {*HEAVY, "pandas"} == set()


@pytest.mark.parametrize("arguments", [["-c", "import heldout"], ["-m", "heldout", "--help"]], ids=["heldout", "help"])
def test_the_door_imports_nothing_that_computes(tmp_path: Path, arguments: list[str]) -> None:
    assert imported(tmp_path, *arguments) & {"numpy", "pandas", "pyarrow", "sklearn", "hydra"} == set()


def test_the_list_of_modules_would_show_them(tmp_path: Path) -> None:
    assert "numpy" in imported(tmp_path, "-c", "import numpy")
