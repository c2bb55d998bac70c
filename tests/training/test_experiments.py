"""Every experiment of conf/experiment runs, every model and data set that it compares, at the fast budget."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rdata
import yaml
from _pytest.mark import ParameterSet

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.data import MlbenchData, SpeechesData
from heldout.training.train import train

CONF = Path(__file__).resolve().parents[2] / "conf"
# of computing: a minute of two cores
MOST_SECONDS = 120
QUICK = ("budget=fast", "tracking.models=false", "tracking.system_metrics_seconds=null")


def combinations() -> list[ParameterSet]:
    """The overrides of each job of each experiment."""
    found = []
    for path in sorted((CONF / "experiment").glob("*.yaml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        params = content.get("hydra", {}).get("sweeper", {}).get("params", {})
        choices = [[f"{key}={value.strip()}" for value in str(values).split(",")] for key, values in params.items()]
        found += [(f"experiment={path.stem}", *job) for job in itertools.product(*choices)]
    # of 22 million weights
    slow = {"experiment=transfer_text": [pytest.mark.slow]}
    return [pytest.param(job, marks=slow.get(job[0], []), id=" ".join(job)) for job in found]


def stand_in(folder: Path, item: str) -> Path:
    """A folder with a frame of mlbench's kind, where its Debian package is not installed (seed 0)."""
    folder.mkdir(exist_ok=True)
    numbers = np.random.default_rng(0).normal(size=(90, 4))
    kinds = pd.Categorical(["a", "b", "c"] * 30)
    frame = pd.DataFrame(numbers, columns=list("pqrs")).assign(Class=kinds)
    rdata.write_rda(str(folder / f"{item}.rda"), {item: frame})
    return folder


def speeches(folder: Path) -> Path:
    """A folder with texts of the kind of the npm package, where that is not installed (seed 0)."""
    folder.mkdir(exist_ok=True)
    words = [
        "we",
        "the",
        "people",
        "of",
        "these",
        "states",
        "have",
        "sent",
        "you",
        "a",
        "message",
        "on",
        "peace",
        "trade",
    ]
    rng = np.random.default_rng(0)
    for year in range(1800, 1840):
        (folder / f"{year}.txt").write_text(" ".join(rng.choice(words, 400)), encoding="utf-8")
    return folder


@pytest.mark.parametrize("job", combinations())
def test_an_experiment_runs_at_the_fast_budget(place: Path, job: tuple[str, ...]) -> None:
    with hydra_session():
        config = to_stage(compose_stage("train", [f"out={place / 'out'}", *job, *QUICK]))
    assert config.trainer.max_epochs <= 2
    assert len(config.seeds) == 1
    if isinstance(config.data, MlbenchData) and not Path(config.data.folder).is_dir():
        config.data.folder = str(stand_in(place / "mlbench", config.data.item))
    if isinstance(config.data, SpeechesData) and not Path(config.data.folder).is_dir():
        config.data.folder = str(speeches(place / "speeches"))
    started = time.process_time()
    (record,) = train(config)
    assert time.process_time() - started <= MOST_SECONDS
    assert record.info["status"] == "finished"
    assert record.prediction_splits == ("train", "validation")
