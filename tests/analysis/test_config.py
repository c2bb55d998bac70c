"""The analysis group: schema, values and explanation agree."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

import pytest
import yaml

from heldout.config.analysis import AnalysisConfig

ROOT = Path(__file__).parents[2]
DEFAULTS = ROOT / "conf" / "analysis" / "default.yaml"


def test_the_default_group_holds_every_value_of_the_schema() -> None:
    values = yaml.safe_load(DEFAULTS.read_text())
    assert values.pop("defaults") == ["schema_analysis", "_self_"]
    assert values == asdict(AnalysisConfig())


@pytest.mark.parametrize("name", [field.name for field in fields(AnalysisConfig) if field.name != "seed"])
def test_every_threshold_is_explained(name: str) -> None:
    lines = DEFAULTS.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(f"{name}:"))
    assert lines[at - 1].startswith("# ")
    assert f"`{name}`" in (ROOT / "docs" / "explanation" / "verdicts.md").read_text()
