"""Schema of the `study` group: a set of trainings that one question needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

# what can run along the axis of the figure besides the keys of the grid
TRAIN_EXAMPLES = "train_examples"
SPLITS = ("train", "validation", "test")
METRICS = (*(f"{split}_{metric}" for split in SPLITS for metric in ("score", "loss")), "score_gap", "fit_seconds")
# what the study sets itself
RESERVED = ("name", "out", "prepared", "seeds", "tracking", "experiment", "budget", "sweep", "cluster")


class Budget(Enum):
    """How much of a study is run."""

    full = "full"
    fast = "fast"  # as budget=fast of a training: two epochs, one seed, few examples; its folder has a name of its own


@dataclass
class StudyFigureConfig:
    """What the figure of a study shows."""

    # along the axis: a key of the grid, or train_examples
    x: str = MISSING
    # key of the grid whose values are the lines
    lines: str = MISSING
    # key of the grid whose values stand side by side; null where there is none
    columns: str | None = None
    # one below the other: train, validation or test with _score or _loss, score_gap, fit_seconds; what the score is,
    # such as the accuracy or R², the task says
    metrics: list[str] = field(default_factory=lambda: ["test_score"])
    # a logarithmic axis
    log: bool = True


@dataclass
class StudyConfig:
    """A set of trainings that one question needs."""

    # of its folder below studies/ and of its run in MLflow
    name: str = MISSING
    # what it answers
    question: str = MISSING
    # data set of all trainings, an option of the group `data`; null where the grid holds several
    data: str | None = None
    # overrides of every training
    overrides: list[str] = field(default_factory=list)
    # values by key of a training's config: every combination is trained, once a seed
    grid: dict[str, list[Any]] = field(default_factory=dict)
    # one fit of each combination a seed
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    budget: Budget = Budget.full
    figure: StudyFigureConfig = field(default_factory=StudyFigureConfig)
    # data need: the fewest training examples with which a line reaches this share of the best score; null leaves it out
    need_share: float | None = None
    # time how long each model takes for the predictions of 1,000 examples, in one thread
    inference: bool = False


def problems_of(study: StudyConfig) -> Iterator[str]:
    """What of a study does not go together."""
    if not study.grid or not all(study.grid.values()):
        yield "study.grid: expected a key, or several, with a list of values each."
    for key, values in study.grid.items():
        if len({str(value) for value in values}) < len(values):
            yield f"study.grid: '{key}' has a value twice: {values}."
    if (study.data is None) == ("data" not in study.grid):
        yield "study.data: expected a data set here or as a key of study.grid, and not in both."
    given = [*study.grid, *(override.lstrip("+~").partition("=")[0] for override in study.overrides)]
    for key in given:
        if key.partition(".")[0] in RESERVED:
            yield f"study: '{key}' cannot be set in study.grid or study.overrides; a study sets it itself."
    yield from _figure_problems(study)


def _figure_problems(study: StudyConfig) -> Iterator[str]:
    figure, keys = study.figure, list(study.grid)
    for name, value in (("x", figure.x), ("lines", figure.lines), ("columns", figure.columns)):
        if value not in keys and not (name == "x" and value == TRAIN_EXAMPLES) and not (name != "x" and value is None):
            yield f"study.figure.{name}={value}: expected a key of study.grid, one of: {', '.join(keys)}."
    for metric in figure.metrics:
        if metric not in METRICS:
            yield f"study.figure.metrics: there is no '{metric}'; expected some of: {', '.join(METRICS)}."
    if not figure.metrics:
        yield "study.figure.metrics: expected one at least."
    if study.need_share is not None and figure.x != TRAIN_EXAMPLES:
        yield f"study.need_share={study.need_share} with study.figure.x={figure.x}: expected {TRAIN_EXAMPLES}, or null."
