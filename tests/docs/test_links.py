"""What the documentation points to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.pages import PAGES, ROOT, identify, prose, written_files

# made by the pipeline, by trainings, or by the reader
MADE = (
    ".dvc/cache", ".venv", ".heldout", "comparisons", "data", "mlartifacts", "multirun", "outputs", "plots", "records", "report",
    "runs", "snapshots", "server-artifacts", "studies",
)  # fmt: skip
OTHERS_OF_THE_READER = {"conf/matrix/mine.yaml", "conf/matrix/NAME.yaml", "conf/model/fcn.yaml", "conf/group/", "sweeps/NAME/", "sweeps/NAME.1", "tuned/NAME"}
ANCHOR = re.compile(r"^#+ (.+)$", flags=re.MULTILINE)


def links(page: Path) -> list[str]:
    found = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [link for link in found if "://" not in link and not link.startswith("mailto:")]


def anchors(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in ANCHOR.findall(prose(page))}


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{identify(page)} links to {link}"
        assert not anchor or anchor in anchors(target), f"{identify(page)} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_named_files_exist(page: Path) -> None:
    by_reader = {path for other in PAGES for path in written_files(other)} | OTHERS_OF_THE_READER
    for name in re.findall(r"`([\w.][\w.\-]*/[\w./\-]*)`", prose(page)):
        first = name.split("/")[0]
        if first in MADE or name in MADE or name in by_reader or not (ROOT / first).is_dir():
            continue
        assert (ROOT / name).exists(), f"{identify(page)} names {name}"


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    listed = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} - {index} == listed


@pytest.mark.parametrize("name", ["report.png", "mlflow.png"])
def test_pictures_are_small(name: str) -> None:
    assert 20_000 < (ROOT / "docs" / "pictures" / name).stat().st_size < 400_000
