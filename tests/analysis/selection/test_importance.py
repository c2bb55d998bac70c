"""Which settings mattered, against planted effects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.analysis.sweeps import Plan

from heldout.analysis.selection import Sweep, read_sweep
from heldout.analysis.selection.importance import importance, is_logarithmic


def sweep(folder: Path, n: int, effect: float) -> Sweep:
    """The learning rate decides, width matters where the family has it, dropout does not."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(n):
        rate, cnn = rng.uniform(-4, -1), bool(rng.integers(2))
        width = int(rng.choice([16, 32])) if cnn else None
        score = effect * (-abs(rate + 2) + 0.1 * (width == 32)) + rng.normal(0, 0.1)
        settings = {"param.rate": 10**rate, "param.width": width, "param.dropout": rng.uniform(0, 0.6)}
        rows.append({"objective": score} | settings | {"param.family": "cnn" if cnn else "mlp", "param.fixed": 3})
    return read_sweep(Plan(rows).write(folder))


def test_the_setting_that_decides_is_found(tmp_path: Path) -> None:
    found = importance(sweep(tmp_path, 60, effect=1.0), 0.95, seed=0)
    assert next(iter(found.by_parameter)) == "rate"
    assert set(found.by_parameter) == {"rate", "width", "dropout", "family"}
    assert found.by_parameter["rate"].lower > 0.3
    assert found.by_parameter["dropout"].lower <= 0.02
    assert found.explained is not None
    assert found.explained > 0.6


def test_noise_has_no_importances(tmp_path: Path) -> None:
    found = importance(sweep(tmp_path, 60, effect=0.0), 0.95, seed=0)
    assert found.by_parameter == {}
    assert "next to nothing" in found.reason


def test_few_trials_say_nothing(tmp_path: Path) -> None:
    found = importance(sweep(tmp_path, 9, effect=1.0), 0.95, seed=0)
    assert (found.by_parameter, found.explained) == ({}, None)
    assert found.reason == "too few trials to say: 9 finished, 12 are needed"


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [
        (np.logspace(-4, -1, 30), True),
        (np.linspace(0.001, 0.6, 30), False),
        (np.logspace(0, 1, 30), False),
        (np.linspace(0, 100, 30), False),
        (["a", "b"], False),
        ([], False),
    ],
)
def test_numbers_that_were_drawn_by_logarithm_are_recognised(values: list, logarithmic: bool) -> None:
    assert is_logarithmic(pd.Series(values)) is logarithmic
