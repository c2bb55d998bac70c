"""A copy of the project in a folder of its own, worked through its real command lines."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from tests.conftest import ROOT

# what the pipeline needs; tests and docs are no part of it
PARTS = ("conf", "pipelines", "src", ".dvc", ".dvcignore", ".gitignore", "dvc.yaml", "pyproject.toml", "tuned")
OUTPUTS = ("snapshots", "data", "runs", "records", "comparisons", "report")
SET_ELSEWHERE = ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "HELDOUT_CONF", "HELDOUT_MULTIRUN_PARENT", "HELDOUT_WARM")


def clean_environment(**more: str) -> dict[str, str]:
    """The environment of a user who has set nothing of ours."""
    return {**{name: value for name, value in os.environ.items() if name not in SET_ELSEWHERE}, **more}


class Project:
    """A git repository with the pipeline in it, and a log of every `python` that its stages start."""

    def __init__(self, folder: Path, models: list[str], overrides: list[str], environment: dict[str, str]) -> None:
        self.root = folder / "project"
        self._calls = folder / "calls"
        self._calls.touch()
        self.environment = clean_environment(
            **environment, PATH=os.pathsep.join([str(self._logging_python(folder)), os.environ["PATH"]])
        )
        _copy_sources(self.root)
        matrix = {
            "data": ["digits"],
            "ordered": {"data": ["digits"], "model": models},
            "tables": {"data": [], "model": []},
            "overrides": overrides,
            "sweeps": {},
        }
        (self.root / "conf" / "matrix.yaml").write_text(yaml.safe_dump(matrix))
        for command in ("init --quiet", "config user.name Tester", "config user.email tester@example.com"):
            self.run("git", *command.split())
        self.commit()

    def run(self, *command: str, code: int | None = 0) -> str:
        """What a command says; fails the test where its exit code is another one than expected."""
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False, timeout=240
        )
        said = done.stdout + done.stderr
        assert code is None or done.returncode == code, f"{shlex.join(command)}: {done.returncode}\n{said}"
        return said

    def dvc(self, *arguments: str, code: int | None = 0) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments, code=code)

    def start(self, module: str) -> subprocess.Popen[str]:
        """`python -m MODULE repro`, in a session of its own: a signal to its group is what a terminal sends."""
        return subprocess.Popen(
            [sys.executable, "-m", module, "repro"],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def repro(self) -> set[str]:
        """The names of the stages that `dvc repro` ran."""
        return stages_run(self.dvc("repro"))

    def processes(self) -> list[str]:
        """The arguments of every `python` started by a stage since this was last asked."""
        calls = self._calls.read_text().splitlines()
        self._calls.write_text("")
        return calls

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "as it is now")

    def edit(self, file: str, key: str, value: object) -> None:
        """Sets a key of a YAML file where it stands, as a user would in an editor."""
        path = self.root / file
        text, count = re.subn(rf"(?m)^([ \t]*){key}:.*$", rf"\g<1>{key}: {value}", path.read_text())
        assert count == 1, f"{count} lines of {file} set {key}"
        path.write_text(text)

    def mlflow_runs(self) -> list[Run]:
        client = MlflowClient(f"sqlite:///{self.root}/mlflow.db")
        found: list[Run] = client.search_runs([e.experiment_id for e in client.search_experiments()])
        return found

    def _logging_python(self, folder: Path) -> Path:
        tools = folder / "tools"
        tools.mkdir()
        script = tools / "python"
        log, python = shlex.quote(str(self._calls)), shlex.quote(sys.executable)
        script.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {python} "$@"\n')
        script.chmod(0o755)
        return tools


def stages_run(said: str) -> set[str]:
    """The stages that DVC says it ran."""
    return set(re.findall(r"Running stage '([^']+)'", said))


def _copy_sources(target: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *PARTS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
