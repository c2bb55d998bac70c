"""Which family builds what, and what is imported for it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import pytest
from tests.models.examples import series, table

from heldout.config.model import FAMILIES, CNNConfig, DeepConfig, LogisticConfig, MLPConfig
from heldout.models import build, deep_families, register
from heldout.models.errors import UnsuitableModel


def test_every_deep_family_of_the_schema_is_registered() -> None:
    deep = {family for family in FAMILIES if issubclass(family, DeepConfig)}
    assert set(deep_families()) == {family for family in deep if family.needs is None or find_spec(family.needs)}


def test_a_family_that_cannot_read_the_modality_is_refused() -> None:
    with pytest.raises(
        UnsuitableModel, match=r"model=cnn with data=example: .* modality image or series, and example is .* table"
    ):
        build(CNNConfig(), table(4, 2).card)


def test_a_baseline_is_no_network() -> None:
    with pytest.raises(
        UnsuitableModel,
        match=r"model.family=logistic: expected a deep family, one of cnn, efficientnet, encoder_decoder, gan, gpt",
    ):
        build(LogisticConfig(), series(2, 17).card)


def test_a_config_class_has_one_builder() -> None:
    deep_families()
    with pytest.raises(ValueError, match="MLPConfig is already built by"):
        register(MLPConfig)(lambda config, card: None)


def test_the_number_of_classes_comes_from_the_card() -> None:
    example = series(2, 17)
    card = replace(example.card, classes=[str(i) for i in range(7)])
    assert build(MLPConfig(), card)(example.tensors()).shape == (len(example.target), 7)


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = "torch", "sklearn", "skops", "safetensors"
    code = f"import sys, heldout.models, heldout.models.baselines; print([n for n in {heavy} if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
