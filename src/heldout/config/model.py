"""Schema of the `model` group: a dataclass a family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from omegaconf import MISSING

from heldout.config.data import Modality

EVERY = frozenset(Modality)
ORDERED = frozenset({Modality.image, Modality.series})


@dataclass
class ModelConfig:
    """What every family has; `accepts` lists the modalities it can read."""

    accepts: ClassVar[frozenset[Modality]] = EVERY
    # name of the family, as in reports
    family: str = MISSING


@dataclass
class DeepConfig(ModelConfig):
    """A family trained by gradient descent."""

    # peak learning rate; the optimizer group reads it from here because a good value depends on the family
    learning_rate: float = 1e-3
    dropout: float = 0.0


@dataclass
class MLPConfig(DeepConfig):
    family: str = "mlp"
    # units of each hidden layer
    hidden: list[int] = field(default_factory=lambda: [128, 128])


@dataclass
class CNNConfig(DeepConfig):
    """Convolutions over one axis (series) or two (images), by the card's shape."""

    accepts: ClassVar[frozenset[Modality]] = ORDERED
    family: str = "cnn"
    # channels of the convolutions
    width: int = 32
    depth: int = 3
    kernel_size: int = 5
    # stride of each convolution
    stride: int = 2


@dataclass
class RecurrentConfig(DeepConfig):
    """Steps of a series, or rows of an image, read in order."""

    accepts: ClassVar[frozenset[Modality]] = ORDERED
    width: int = 64
    depth: int = 1
    bidirectional: bool = False


@dataclass
class RNNConfig(RecurrentConfig):
    family: str = "rnn"


@dataclass
class GRUConfig(RecurrentConfig):
    family: str = "gru"


@dataclass
class LSTMConfig(RecurrentConfig):
    family: str = "lstm"


@dataclass
class ResNetConfig(DeepConfig):
    """Residual blocks: convolutional on images and series, dense on tables."""

    family: str = "resnet"
    width: int = 32
    # residual blocks
    depth: int = 3
    kernel_size: int = 5
    # false gives the plain network of the same layers
    skip: bool = True


@dataclass
class TransformerConfig(DeepConfig):
    """Encoder over steps (series), patches (images) or features (tables)."""

    family: str = "transformer"
    width: int = 64
    depth: int = 2
    heads: int = 4
    # side of a square patch (images), steps in a token (series)
    patch: int = 4


@dataclass
class BaselineConfig(ModelConfig):
    """A classical model, fitted once; no epochs."""


@dataclass
class MajorityConfig(BaselineConfig):
    family: str = "majority"


@dataclass
class LogisticConfig(BaselineConfig):
    family: str = "logistic"
    # inverse of the strength of the L2 penalty
    C: float = 1.0
    max_iter: int = 1000


@dataclass
class KNNConfig(BaselineConfig):
    family: str = "knn"
    neighbors: int = 5


@dataclass
class RandomForestConfig(BaselineConfig):
    family: str = "random_forest"
    trees: int = 500
    max_depth: int | None = None


@dataclass
class HistGradientBoostingConfig(BaselineConfig):
    family: str = "hist_gradient_boosting"
    iterations: int = 100
    learning_rate: float = 0.1


FAMILIES: tuple[type[ModelConfig], ...] = (
    MLPConfig,
    CNNConfig,
    RNNConfig,
    GRUConfig,
    LSTMConfig,
    ResNetConfig,
    TransformerConfig,
    MajorityConfig,
    LogisticConfig,
    KNNConfig,
    RandomForestConfig,
    HistGradientBoostingConfig,
)
