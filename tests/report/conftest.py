from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.analysis.synthetic import BASELINES, MNIST1D, plant, plant_failed

from heldout.analysis import Comparison, compare
from heldout.config.analysis import AnalysisConfig
from heldout.record import Record, find_records

CAUSE = "out of memory at step 12 <64 MiB asked>"


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets; on the first, six deep families (two rows of panels), three baselines and failures."""
    root = tmp_path_factory.mktemp("records")
    for seed in (0, 1):
        for plan in MNIST1D[:6] + BASELINES[::2]:
            plant(root, replace(plan, epochs=25), data="mnist1d", seed=seed, examples=200)
    for seed in (0, 1):
        plant_failed(root, "rnn", CAUSE, data="mnist1d", seed=seed)
    plant(root, replace(MNIST1D[0], test=None), data="other")
    return root


@pytest.fixture(scope="session")
def comparison(records: Path) -> Comparison:
    return compare([Record.load(path) for path in find_records(records)], AnalysisConfig(bootstrap_samples=100))
