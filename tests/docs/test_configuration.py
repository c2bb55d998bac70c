"""docs/reference/configuration.md says what the schema and conf/ say."""

from __future__ import annotations

import importlib.util
import re
import sys
from types import ModuleType

import pytest
from tests.docs.pages import ROOT

from heldout.config.store import GROUPS, STAGES


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up there
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_would_be_written_now(reference: ModuleType) -> None:
    _, mark, written = reference.PAGE.read_text(encoding="utf-8").partition(reference.MARK)
    assert mark
    assert written.strip() == reference.render().strip(), "renew it with: python docs/make_reference.py"


def test_every_key_has_a_meaning(reference: ModuleType) -> None:
    silent = [line for line in reference.render().splitlines() if re.match(r"\| `[^`]+` \|.*\|  \|$", line)]
    # a group is described where it has its own section
    assert [line for line in silent if "[group]" not in line and line.count("|") == 5] == []


def test_every_stage_group_and_option_is_there(reference: ModuleType) -> None:
    page = reference.render()
    for stage in STAGES:
        assert f"### `{stage}`" in page
    for group in GROUPS:
        assert f"## `{group}`" in page
        files = list((ROOT / "conf" / group).glob("*.yaml"))
        assert files
        for file in files if len(files) > 1 else []:
            assert f"`{file.stem}`" in page.split(f"\n## `{group}`")[1].split("\n## ")[0]


def test_what_the_reference_adds_to_the_schema_belongs_to_a_key(reference: ModuleType) -> None:
    schemas = {one for group in GROUPS.values() for one in group.values()} | set(STAGES.values())
    owners = {base.__name__: base for schema in schemas for base in schema.__mro__}
    from heldout.config.data import SplitConfig

    owners["SplitConfig"] = SplitConfig
    for key in reference.MEANINGS:
        owner, _, name = key.partition(".")
        assert name in owners[owner].__annotations__, key
