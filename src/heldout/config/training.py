"""Schema of the `task`, `optimizer`, `schedule` and `trainer` groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from omegaconf import MISSING

from heldout.config.data import TaskKind


@dataclass
class TaskConfig:
    solves: ClassVar[TaskKind]
    name: str = MISSING


@dataclass
class ClassifyConfig(TaskConfig):
    """Choose one of the card's classes; the loss is cross-entropy."""

    solves: ClassVar[TaskKind] = TaskKind.classification
    name: str = "classify"
    # Szegedy et al. 2016, section 7; in training only, never in the measured loss
    label_smoothing: float = 0.0
    # images, in training only: move each by up to so many pixels, black where it leaves a gap
    crop_padding: int = 0
    # images, in training only: mirror each left to right, or not, with equal chance
    flip: bool = False


@dataclass
class RegressConfig(TaskConfig):
    """Give a number; the loss is the squared error of the target, standardised by train."""

    solves: ClassVar[TaskKind] = TaskKind.regression
    name: str = "regress"


@dataclass
class RecommendConfig(TaskConfig):
    """Give the rating of an item by a user; the loss is the squared error of the rating, standardised by train."""

    solves: ClassVar[TaskKind] = TaskKind.recommendation
    name: str = "recommend"


@dataclass
class SamplesConfig:
    """Texts that a language model writes once it is trained, to be read by people."""

    # how many; 0 writes none
    count: int = 8
    # most tokens of each
    max_tokens: int = 100
    # what each begins with; an empty one lets the model begin
    prompt: str = ""
    # below 1 likely tokens become likelier, above 1 less so
    temperature: float = 0.8
    # of the likeliest tokens so many that their probabilities add up to this share; the others are never drawn
    top_p: float = 0.95
    # of what is drawn
    seed: int = 0


@dataclass
class LanguageConfig(TaskConfig):
    """Give the next token of a text; the loss is cross-entropy."""

    solves: ClassVar[TaskKind] = TaskKind.language
    name: str = "language"
    samples: SamplesConfig = field(default_factory=SamplesConfig)


@dataclass
class SearchConfig:
    """How a translation is looked for."""

    # translations that are followed side by side; 1 takes the likeliest token each time
    beam: int = 4
    # their log-probabilities are divided by so many-th powers of their lengths; 0 favours short ones
    length_penalty: float = 1.0


@dataclass
class TranslateConfig(TaskConfig):
    """Give the tokens of a translation, one after the other; the loss is cross-entropy."""

    solves: ClassVar[TaskKind] = TaskKind.translation
    name: str = "translate"
    # Szegedy et al. 2016, section 7; in training only, never in the measured loss
    label_smoothing: float = 0.0
    # examples of train, and of validation, that are translated after each epoch, by the likeliest token each time; at
    # the kept epoch all that are measured are translated, by the search
    translated: int = 100
    search: SearchConfig = field(default_factory=SearchConfig)
    # translations that are shown to people: in samples.txt and in the report
    samples: int = 12


@dataclass
class GenerateConfig(TaskConfig):
    """Draw images like those of train; a critic learns to tell them from real ones."""

    solves: ClassVar[TaskKind] = TaskKind.generation
    name: str = "generate"
    # drawn images in the picture of the kept epoch; 0 shows none
    pictures: int = 64
    # epochs, spread evenly over `trainer.max_epochs`, of which a picture shows images drawn from the same codes
    looks: int = 8


@dataclass
class OptimizerConfig:
    name: str = MISSING
    # null for a classical model, which has no optimizer
    learning_rate: float | None = None
    weight_decay: float = 0.0


@dataclass
class AdamConfig(OptimizerConfig):
    """Kingma and Ba 2015."""

    name: str = "adam"
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    # one kernel for all parameters: about a third off a step of a small net
    fused: bool = True


@dataclass
class AdamWConfig(AdamConfig):
    """Loshchilov and Hutter 2019: weight decay apart from the gradient."""

    name: str = "adamw"
    weight_decay: float = 0.01


@dataclass
class SGDConfig(OptimizerConfig):
    name: str = "sgd"
    momentum: float = 0.9
    nesterov: bool = True


@dataclass
class ScheduleConfig:
    """Factor on the learning rate, step by step."""

    name: str = MISSING
    # share of the steps over which the rate rises linearly from 0
    warmup: float = 0.0


@dataclass
class ConstantConfig(ScheduleConfig):
    name: str = "constant"


@dataclass
class CosineConfig(ScheduleConfig):
    """Loshchilov and Hutter 2017, one period."""

    name: str = "cosine"
    warmup: float = 0.05
    # rate at the last step, as a share of the peak
    final: float = 0.0


class Accelerator(Enum):
    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"
    mps = "mps"


class Mode(Enum):
    min = "min"
    max = "max"


class Keep(Enum):
    """Which epoch's weights a run ends with."""

    best = "best"  # that with the best validation value
    last = "last"  # the last, as recipes with a fixed number of steps do


@dataclass
class InsideConfig:
    """Looks inside a network while it is trained; trials of a sweep have none."""

    # ends of epochs, spread evenly over `max_epochs`, at which the norms of activations, gradients and updates of each
    # layer are noted, and its dead units; 0 looks at none, and leaves out the summary of the layers too
    looks: int = 10
    # examples of the measured part of train on which activations are looked at, at most
    examples: int = 500


@dataclass
class TrainerConfig:
    """How long, in what portions, on what, and what is kept."""

    max_epochs: int = 30
    # of all devices together
    batch_size: int = 100
    # batch for measuring; changes nothing but speed and memory
    eval_batch_size: int = 1000
    # validation metric that decides which epoch is kept: loss, accuracy; of a regression loss, r2, rmse, mae; of a
    # language model loss, pseudo_r2, bits_per_byte, perplexity; of a translation loss, chrf, perplexity; of a generator
    # loss, likeness, precision, recall
    monitor: str = "loss"
    mode: Mode = Mode.min
    keep: Keep = Keep.best
    # stop after so many epochs without a better validation value; null trains to the end
    patience: int | None = None
    # largest norm of the gradient; null does not clip
    gradient_clip: float | None = None
    # training examples on which the gap is measured each epoch; null takes as many as validation has
    train_subset: int | None = None
    accelerator: Accelerator = Accelerator.auto
    # processes that share each batch, each on a CPU or GPU of its own; metrics are those of one
    devices: int = 1
    # machines that share each batch, with `devices` processes each: all are given the same command, and their
    # environment says which is which (HELDOUT_NODE_RANK or JOB_COMPLETION_INDEX, MASTER_ADDR, MASTER_PORT)
    nodes: int = 1
    # longest time in which nodes wait for each other at the start
    node_seconds: float = 300.0
    # as Lightning names them: 32-true, bf16-mixed, 16-mixed
    precision: str = "32-true"
    # CPU threads of a fit; null leaves the choice to torch
    threads: int | None = 1
    # bit-for-bit repeatable on a GPU too, at some cost
    deterministic: bool = False
    # a checkpoint to resume from is written at the first end of an epoch after so many seconds
    checkpoint_seconds: float = 5.0
    inside: InsideConfig = field(default_factory=InsideConfig)
