"""The documentation as the tests of this folder see it: pages, their commands, and the files they tell one to write."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")
# a file, then what to write into it
_WRITTEN = re.compile(
    r"`((?:conf|data)/[\w/.]+)`[^`]*?:\n\n```(?:yaml|csv)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE
)
_FIRST_WORDS = ("python pipelines/", "python docs/", "python benchmarks/", "heldout ", "make ", "dvc ", "mlflow ")
# RUN, STAGE, NAME stand for something
_PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b(?!=)|\.\.\.")


def identify(page: Path) -> str:
    """The page's path, as tests are named."""
    return page.relative_to(ROOT).as_posix()


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def commands(page: Path) -> list[list[str]]:
    """Every command that the page shows, in blocks and within lines, split as a shell does."""
    lines = [
        line for kind, block in _BLOCK.findall(text(page)) if kind in ("sh", "bash") for line in block.splitlines()
    ]
    outside = _BLOCK.sub("", text(page))
    lines += [span for span in _INLINE.findall(outside) if span.startswith(_FIRST_WORDS)]
    return [shlex.split(line, comments=True) for line in lines if line.strip() and not _PLACEHOLDER.search(line)]


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return _BLOCK.sub("", text(page))


def written_files(page: Path) -> dict[str, str]:
    """Files that the page tells one to write, by path, with their content."""
    return dict(_WRITTEN.findall(text(page)))


def python_blocks(page: Path) -> list[str]:
    return [block for kind, block in _BLOCK.findall(text(page)) if kind == "python"]
