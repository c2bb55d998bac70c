"""Every command that the documentation shows is one that there is, with arguments that it takes."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from tests.docs.pages import PAGES, ROOT, commands, identify, python_blocks, text, written_files

from heldout import app, cli
from heldout.config.snapshot import write_snapshots

OTHERS = {"git", "source", "export", "pip"}
# tests/models/test_add_a_family.py follows it
FOLLOWED_ELSEWHERE = ROOT / "docs" / "how-to" / "add-a-family.md"
MAKE_TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))


def check(command: list[str]) -> None:
    """Raises, or exits, where the command would refuse its arguments."""
    if "|" in command:
        first = command.index("|")
        check(command[:first])
        check(command[first + 1 :])
        return
    if "=" in command[0]:
        return
    program, *arguments = command
    program = Path(program).name
    if program == "python":
        check_python(arguments)
    elif program == "heldout":
        check_heldout(arguments)
    elif program == "make":
        assert {one for one in arguments if "=" not in one} <= MAKE_TARGETS
    elif program == "dvc":
        from dvc.cli import parse_args

        parse_args(arguments)
    elif program == "kubectl":
        check_kubectl(arguments)
    elif program == "mlflow":
        from click import Context
        from mlflow.cli import cli as mlflow

        chosen = mlflow.get_command(Context(mlflow), arguments[0])
        assert chosen is not None, f"mlflow has no command {arguments[0]}"
        chosen.make_context(arguments[0], arguments[1:])
    elif command[0].startswith("k8s/"):
        assert os.access(ROOT / command[0], os.X_OK), f"{command[0]} is no program"
    else:
        assert program in OTHERS, f"no test knows {program}"


def check_python(arguments: list[str]) -> None:
    if arguments[0] == "-m":
        assert arguments[1] == "pytest"
        assert all((ROOT / path).exists() for path in arguments[2:])
    elif arguments[0].startswith("pipelines/"):
        assert (ROOT / arguments[0]).is_file()
        check_stage(Path(arguments[0]).stem, arguments[1:])
    else:
        assert (ROOT / arguments[0]).is_file() or Path(arguments[0]).is_file()


def check_heldout(arguments: list[str]) -> None:
    if arguments[0] in app.STAGES:
        check_stage(arguments[0], arguments[1:])
    elif len(arguments) == 1:
        # named in a sentence, without what it would be given
        assert f"    {arguments[0]} " in cli._parser().format_help()
    else:
        options, rest = cli._parser().parse_known_args(arguments)
        assert not rest or options.command in ("repro", "job")
        if options.command == "job":
            assert (ROOT / "k8s" / "jobs" / options.kind).is_dir()
            assert not shutil.which("kubectl") or cli.main(["job", *arguments[1:]]) == 0
        if options.command == "profile":
            assert (ROOT / "conf" / "matrix" / f"{options.name}.yaml").is_file()


def check_kubectl(arguments: list[str]) -> None:
    """That a kustomization is there; what else kubectl takes, tests on a cluster show."""
    for flag, value in itertools.pairwise(arguments):
        assert flag != "-k" or (ROOT / value / "kustomization.yaml").is_file(), f"{value} is no kustomization"


def check_stage(stage: str, arguments: list[str]) -> None:
    from hydra._internal.utils import get_args_parser

    parsed = get_args_parser().parse_args(arguments)
    shown_only = parsed.help or parsed.cfg is not None or not parsed.overrides
    app.precheck(app.STAGES[stage], parsed.overrides, parsed.multirun, complete=not shown_only)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder in which the pages' own files can be written."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HELDOUT_CONF", raising=False)
    return tmp_path


def write_files(page: Path) -> None:
    how_to = ROOT / "docs" / "how-to" / "bring-your-own-table.md"
    for path, content in {**written_files(how_to), **written_files(page)}.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(content, encoding="utf-8")
    for block in python_blocks(page):
        if name := re.match(r"# (\w+\.py)\n", block):
            Path(name[1]).write_text(block, encoding="utf-8")
            exec(compile(block, name[1], "exec"), {})


@pytest.mark.parametrize("page", [page for page in PAGES if page != FOLLOWED_ELSEWHERE], ids=identify)
def test_commands_are_accepted(page: Path, reader: Path) -> None:
    write_files(page)
    for command in commands(page):
        try:
            check(command)
        except SystemExit as exit_:
            pytest.fail(f"{shlex.join(command)}: exit {exit_.code}")
        except Exception as error:
            raise AssertionError(f"{shlex.join(command)}: {error}") from error


@pytest.mark.parametrize("file", sorted((ROOT / "conf").rglob("*.yaml")), ids=lambda file: file.name)
def test_commands_in_comments_of_configs_are_accepted(file: Path, reader: Path) -> None:
    for line in re.findall(r"^#\s+(python pipelines/.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE):
        check(shlex.split(line))


def test_the_matrix_shown_can_be_composed(reader: Path) -> None:
    page = ROOT / "docs" / "how-to" / "profiles-and-matrix.md"
    write_files(page)
    assert "data: [digits, breast_cancer]" in Path("conf/matrix.yaml").read_text(encoding="utf-8")
    assert write_snapshots(Path("snapshots")) == 14


def test_the_setting_that_the_tutorial_changes_is_there() -> None:
    shown = re.search(r"In `(conf/[\w/]+\.yaml)` change `([^`]+)` to", text(ROOT / "docs" / "tutorial.md"))
    assert shown
    assert shown[2] in (ROOT / shown[1]).read_text(encoding="utf-8").splitlines()


def test_no_machine_is_named() -> None:
    for page in PAGES:
        assert os.fspath(ROOT) not in text(page)
        assert not re.search(r"/(home|Users)/\w", text(page)), "the home of somebody"
