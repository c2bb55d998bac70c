"""The group files of conf/model: one a family, and every setting of it is there to be changed."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from heldout.config.model import FAMILIES, ModelConfig

FOLDER = Path(__file__).resolve().parents[2] / "conf" / "model"


def test_there_is_a_file_for_each_family() -> None:
    assert {file.stem for file in FOLDER.glob("*.yaml")} >= {str(family.family) for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: str(family.family))
def test_a_file_shows_every_setting(family: type[ModelConfig]) -> None:
    values = OmegaConf.load(FOLDER / f"{family.family}.yaml")
    assert isinstance(values, DictConfig)
    assert values.pop("defaults") == [f"schema_{family.family}", "_self_"]
    assert set(values) == {field.name for field in fields(family)}
    typed = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(family), values))
    assert isinstance(typed, family)
