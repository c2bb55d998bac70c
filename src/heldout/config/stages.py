"""Schema of what each pipeline stage is given: the top of every config."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from heldout.config.analysis import AnalysisConfig
from heldout.config.data import DataConfig, QualityConfig
from heldout.config.model import BaselineConfig, ModelConfig
from heldout.config.study import StudyConfig
from heldout.config.sweep import ClusterConfig, SweepConfig
from heldout.config.tracking import TrackingConfig
from heldout.config.training import OptimizerConfig, ScheduleConfig, TaskConfig, TrainerConfig
from heldout.config.transfer import TransferConfig


class Resume(Enum):
    """What to do when an earlier start of the same configuration was interrupted."""

    auto = "auto"  # go on from its last checkpoint, as the same MLflow run; start anew where there is none
    never = "never"  # discard it and start anew


@dataclass
class PrepareConfig:
    """Source to split Arrow files and their card."""

    data: DataConfig = MISSING
    # folder of the prepared data; null names it after the data set and its content
    out: str | None = None


@dataclass
class ValidateConfig:
    """Prepared data against the quality policy."""

    data: DataConfig = MISSING
    quality: QualityConfig = MISSING
    # folder of the prepared data; null finds or makes it
    prepared: str | None = None
    # quality report, JSON; null writes it into Hydra's output folder
    out: str | None = None


@dataclass
class TrainConfig:
    """One configuration, fitted once a seed."""

    data: DataConfig = MISSING
    model: ModelConfig = MISSING
    task: TaskConfig = MISSING
    optimizer: OptimizerConfig = MISSING
    schedule: ScheduleConfig = MISSING
    trainer: TrainerConfig = MISSING
    transfer: TransferConfig = MISSING
    tracking: TrackingConfig = MISSING
    # plays a part with `-m hydra/sweeper=ray_tune` only
    sweep: SweepConfig = MISSING
    cluster: ClusterConfig = MISSING
    # one fit, and one child run in MLflow, a seed
    seeds: list[int] = field(default_factory=lambda: [0])
    # name of the parent run
    name: str = MISSING
    resume: Resume = Resume.auto
    # folder of the prepared data; null finds or makes it
    prepared: str | None = None
    # folder of the records, one a seed; null takes Hydra's output folder
    out: str | None = None

    @property
    def is_baseline(self) -> bool:
        return isinstance(self.model, BaselineConfig)


@dataclass
class EvaluateConfig:
    """The test set, opened once for every run that is finished."""

    # folder below which the runs lie, as `train` left them
    runs: str = MISSING
    # folder of the complete records
    out: str = MISSING
    # folder of the prepared data; null takes the one the run was trained on
    prepared: str | None = None
    # the runs to take, as folders below `runs`; null takes all
    only: list[str] | None = None
    tracking: TrackingConfig = MISSING


@dataclass
class CompareConfig:
    """Records to gaps, verdicts and a table of families."""

    # folder below which the records lie
    records: str = MISSING
    out: str = MISSING
    # the records to take, as folders below `records`; null takes all
    only: list[str] | None = None
    analysis: AnalysisConfig = MISSING
    tracking: TrackingConfig = MISSING


@dataclass
class StudyRunConfig:
    """A study: every training of it, the test set, a table, a figure and a page."""

    study: StudyConfig = MISSING
    analysis: AnalysisConfig = MISSING
    # of the study and of all its trainings
    tracking: TrackingConfig = MISSING
    # folder of the study; null takes studies/NAME, with the fast budget studies/NAME-fast
    out: str | None = None


@dataclass
class ReportConfig:
    """Comparisons to one HTML page."""

    # folders of comparisons
    comparisons: list[str] = MISSING
    # the page
    out: str = MISSING
