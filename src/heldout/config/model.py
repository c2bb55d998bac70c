"""Schema of the `model` group: a dataclass a family."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from omegaconf import MISSING

from heldout.config.data import Modality, TaskKind

# pairs of a user and an item are what recommenders read
RATINGS = frozenset({Modality.interactions})
EVERY = frozenset(Modality) - RATINGS
EVERY_TASK = frozenset({TaskKind.classification, TaskKind.regression})
CLASSES = frozenset({TaskKind.classification})
A_NUMBER = frozenset({TaskKind.regression})
A_RATING = frozenset({TaskKind.recommendation})
THE_NEXT_TOKEN = frozenset({TaskKind.language})
A_TRANSLATION = frozenset({TaskKind.translation})
AN_IMAGE = frozenset({TaskKind.generation})
TEXTS = frozenset({Modality.text})
IMAGES = frozenset({Modality.image})
# what has no tokens
NUMBERS = frozenset({Modality.image, Modality.series, Modality.table})
ORDERED = frozenset({Modality.image, Modality.series})
# what is read step by step
SEQUENCES = frozenset({Modality.image, Modality.series, Modality.text})


class Head(Enum):
    """How the feature maps of the last convolution reach the classifier."""

    pool = "pool"  # their mean over all positions: few parameters, blind to position
    flatten = "flatten"  # every position of every channel


class Readout(Enum):
    """Which states of a recurrent network reach the classifier."""

    last = "last"  # the state after the whole sequence, of each direction
    mean = "mean"  # the mean over the steps
    flatten = "flatten"  # the states of every step


@dataclass
class ModelConfig:
    """What every family has; `accepts` lists the modalities it can read, `solves` what it can predict.

    needs: package, of the extra `vision`, without which the family cannot be built.
    """

    accepts: ClassVar[frozenset[Modality]] = EVERY
    solves: ClassVar[frozenset[TaskKind]] = EVERY_TASK
    needs: ClassVar[str | None] = None
    # name of the family, as in reports
    family: str = MISSING


@dataclass
class DeepConfig(ModelConfig):
    """A family trained by gradient descent."""

    # peak learning rate; the optimizer group reads it from here because a good value depends on the family
    learning_rate: float = 1e-3
    # share of the units that is zeroed at random while training
    dropout: float = 0.0


@dataclass
class MLPConfig(DeepConfig):
    family: str = "mlp"
    # units of each hidden layer
    hidden: list[int] = field(default_factory=lambda: [256, 256])
    # share of the inputs that is zeroed at random while training
    input_dropout: float = 0.0
    # units that stand for a categorical column of a table, or for a token of a text
    embedding: int = 8


@dataclass
class CNNConfig(DeepConfig):
    """Convolutions over one axis (series) or two (images), by the card's shape."""

    accepts: ClassVar[frozenset[Modality]] = ORDERED
    family: str = "cnn"
    # channels of the convolutions
    width: int = 32
    # convolutions
    depth: int = 3
    # kernel size of each convolution; the last one given serves all that follow
    kernel_sizes: list[int] = field(default_factory=lambda: [5, 3])
    # stride of each convolution
    stride: int = 2
    # zeros at each end of each axis; null takes half the kernel, so that only the stride shortens an axis
    padding: int | None = None
    head: Head = Head.flatten


@dataclass
class RecurrentConfig(DeepConfig):
    """Steps of a series, rows of an image or tokens of a text, read in order."""

    accepts: ClassVar[frozenset[Modality]] = SEQUENCES
    # units of the state, in each direction
    width: int = 32
    # layers, each reading the states of the one below
    depth: int = 1
    # read from both ends
    bidirectional: bool = False
    # texts: units that stand for a token
    embedding: int = 32
    readout: Readout = Readout.flatten


@dataclass
class RNNConfig(RecurrentConfig):
    family: str = "rnn"


@dataclass
class GRUConfig(RecurrentConfig):
    family: str = "gru"


@dataclass
class LSTMConfig(RecurrentConfig):
    family: str = "lstm"
    # bias of the forget gate before training; with 1 a network remembers until it learns to forget
    forget_bias: float = 0.0


@dataclass
class ResNetConfig(DeepConfig):
    """Residual blocks: convolutional on images and series, dense on tables."""

    accepts: ClassVar[frozenset[Modality]] = NUMBERS
    family: str = "resnet"
    # channels of the first of three stages, doubled from each to the next; tables: a quarter of the units of a layer
    width: int = 8
    # residual blocks, spread over the stages
    depth: int = 3
    # odd, so that a convolution keeps the length
    kernel_size: int = 3
    # false gives the plain network of the same layers
    skip: bool = True
    # tables: units that stand for a categorical column
    embedding: int = 8


@dataclass
class SeriesResNetConfig(DeepConfig):
    """Three residual blocks of three convolutions over the whole length of a series."""

    accepts: ClassVar[frozenset[Modality]] = frozenset({Modality.series})
    family: str = "series_resnet"
    # channels of the first block; the other two have twice as many
    width: int = 32
    # of the convolutions of a block
    kernel_sizes: list[int] = field(default_factory=lambda: [8, 5, 3])


@dataclass
class EfficientNetConfig(DeepConfig):
    """EfficientNet-lite0, of which weights trained on ImageNet are to be had: see the group `transfer`."""

    accepts: ClassVar[frozenset[Modality]] = IMAGES
    family: str = "efficientnet"
    # side to which images are scaled; the published weights were trained at 224, a smaller one is quicker
    image_size: int = 64


@dataclass
class LibraryConfig(DeepConfig):
    """A network for images of a library of networks, by its name there; weights come from a file, see `transfer`."""

    accepts: ClassVar[frozenset[Modality]] = IMAGES
    # name of the network in the library
    architecture: str = "resnet18"
    # side to which images are scaled
    image_size: int = 64


@dataclass
class TorchvisionConfig(LibraryConfig):
    needs: ClassVar[str | None] = "torchvision"
    family: str = "torchvision"


@dataclass
class TimmConfig(LibraryConfig):
    needs: ClassVar[str | None] = "timm"
    family: str = "timm"
    architecture: str = "mobilenetv3_small_050"


@dataclass
class MiniLMConfig(DeepConfig):
    """An encoder of texts as BERT is; in the size of MiniLM-L6 trained weights are to be had: see `transfer`."""

    accepts: ClassVar[frozenset[Modality]] = TEXTS
    family: str = "minilm"
    # units of a token
    width: int = 64
    # encoder blocks
    depth: int = 2
    # attention heads; they share the width equally
    heads: int = 4
    # hidden units of a block's feed-forward part, as a multiple of the width
    expansion: int = 4


@dataclass
class TransformerConfig(DeepConfig):
    """Encoder over steps (series), patches (images), features (tables) or tokens (texts)."""

    family: str = "transformer"
    # units of a token
    width: int = 32
    # encoder blocks
    depth: int = 2
    # attention heads; they share the width equally
    heads: int = 2
    # hidden units of a block's feed-forward part, as a multiple of the width
    expansion: int = 2
    # side of a square patch (images), steps in a token (series)
    patch: int = 4


@dataclass
class MatrixFactorisationConfig(DeepConfig):
    """Biases of users and items, and the product of their vectors."""

    accepts: ClassVar[frozenset[Modality]] = RATINGS
    solves: ClassVar[frozenset[TaskKind]] = A_RATING
    family: str = "matrix_factorisation"
    # units of the vector of a user, and of an item
    width: int = 16


@dataclass
class NeuralRecommenderConfig(DeepConfig):
    """Biases of users and items, and dense layers over their vectors."""

    accepts: ClassVar[frozenset[Modality]] = RATINGS
    solves: ClassVar[frozenset[TaskKind]] = A_RATING
    family: str = "neural_recommender"
    # units of the vector of a user, and of an item
    width: int = 16
    # units of each hidden layer
    hidden: list[int] = field(default_factory=lambda: [64, 32])


@dataclass
class GPTConfig(DeepConfig):
    """Decoder that says of each token of a text which comes next."""

    accepts: ClassVar[frozenset[Modality]] = TEXTS
    solves: ClassVar[frozenset[TaskKind]] = THE_NEXT_TOKEN
    family: str = "gpt"
    # units of a token
    width: int = 128
    # decoder blocks
    depth: int = 4
    # attention heads; they share the width equally
    heads: int = 4
    # hidden units of a block's feed-forward part, as a multiple of the width
    expansion: int = 4


@dataclass
class EncoderDecoderConfig(DeepConfig):
    """Encoder that reads a text, and decoder that writes its translation."""

    accepts: ClassVar[frozenset[Modality]] = TEXTS
    solves: ClassVar[frozenset[TaskKind]] = A_TRANSLATION
    family: str = "encoder_decoder"
    # units of a token
    width: int = 128
    # encoder blocks, and as many of the decoder
    depth: int = 3
    # attention heads; they share the width equally
    heads: int = 4
    # hidden units of a block's feed-forward part, as a multiple of the width
    expansion: int = 4


@dataclass
class GANConfig(DeepConfig):
    """A generator of images and the critic that trains it."""

    accepts: ClassVar[frozenset[Modality]] = IMAGES
    solves: ClassVar[frozenset[TaskKind]] = AN_IMAGE
    family: str = "gan"
    # normally distributed numbers from which an image is drawn
    latent: int = 32
    # channels of the smallest maps, of generator and critic alike; each larger map has half of them
    width: int = 64
    # times that the axes of the image are halved
    depth: int = 2
    # weight of the squared gradients of the critic, at real images and at drawn ones
    gradient_penalty: float = 0.3
    # of the moving average of the generator's weights, which draws: share that stays at a step
    average_decay: float = 0.995


@dataclass
class BaselineConfig(ModelConfig):
    """A classical model, fitted once; no epochs."""


@dataclass
class MajorityConfig(BaselineConfig):
    """The class frequencies of train, whatever the input."""

    solves: ClassVar[frozenset[TaskKind]] = CLASSES
    family: str = "majority"


@dataclass
class MeanConfig(BaselineConfig):
    """The mean of train, whatever the input."""

    accepts: ClassVar[frozenset[Modality]] = EVERY | RATINGS
    solves: ClassVar[frozenset[TaskKind]] = A_NUMBER | A_RATING
    family: str = "mean"


@dataclass
class RidgeConfig(BaselineConfig):
    accepts: ClassVar[frozenset[Modality]] = EVERY | RATINGS
    solves: ClassVar[frozenset[TaskKind]] = A_NUMBER | A_RATING
    family: str = "ridge"
    # strength of the L2 penalty; the features are standardised
    alpha: float = 1.0


@dataclass
class NaiveConfig(BaselineConfig):
    """The last value of a channel is the forecast of the next: persistence."""

    accepts: ClassVar[frozenset[Modality]] = frozenset({Modality.series})
    solves: ClassVar[frozenset[TaskKind]] = A_NUMBER
    family: str = "naive"
    # of the series, from 0: the one of which the next value is the target
    channel: int = 0


@dataclass
class HARConfig(BaselineConfig):
    """Heterogeneous autoregression: means of the past over several spans, weighted."""

    accepts: ClassVar[frozenset[Modality]] = frozenset({Modality.series})
    solves: ClassVar[frozenset[TaskKind]] = A_NUMBER
    family: str = "har"
    # of the series, from 0: the one of which the next value is the target
    channel: int = 0
    # steps over which the past is averaged; of trading days: a day, a week and a month
    spans: list[int] = field(default_factory=lambda: [1, 5, 22])
    # strength of the L2 penalty, next to none
    alpha: float = 1e-3


@dataclass
class NGramConfig(BaselineConfig):
    """The next token by what followed the same last tokens in train; interpolated Kneser-Ney."""

    accepts: ClassVar[frozenset[Modality]] = TEXTS
    solves: ClassVar[frozenset[TaskKind]] = THE_NEXT_TOKEN
    family: str = "ngram"
    # tokens of an n-gram, the next one included; 1 looks at none of the last tokens
    order: int = 4


@dataclass
class CopySourceConfig(BaselineConfig):
    """The text itself as its translation: what names, numbers and marks give for nothing."""

    accepts: ClassVar[frozenset[Modality]] = TEXTS
    solves: ClassVar[frozenset[TaskKind]] = A_TRANSLATION
    family: str = "copy_source"


@dataclass
class TranslationMemoryConfig(BaselineConfig):
    """The translation of the text of train that is most alike."""

    accepts: ClassVar[frozenset[Modality]] = TEXTS
    solves: ClassVar[frozenset[TaskKind]] = A_TRANSLATION
    family: str = "translation_memory"
    # texts are alike by their runs of up to so many tokens, weighed by how rare they are
    longest_run: int = 2


@dataclass
class GaussianConfig(BaselineConfig):
    """One normal distribution over the pixels, with all their covariances."""

    accepts: ClassVar[frozenset[Modality]] = IMAGES
    solves: ClassVar[frozenset[TaskKind]] = AN_IMAGE
    family: str = "gaussian"
    # added to the variance of each pixel; the features are standardised
    regularisation: float = 0.001


@dataclass
class GaussianMixtureConfig(BaselineConfig):
    """Several normal distributions over the pixels, each with all covariances."""

    accepts: ClassVar[frozenset[Modality]] = IMAGES
    solves: ClassVar[frozenset[TaskKind]] = AN_IMAGE
    family: str = "gaussian_mixture"
    # normal distributions
    components: int = 10
    # added to the variance of each pixel in each of them; the features are standardised
    regularisation: float = 0.01


@dataclass
class KernelDensityConfig(BaselineConfig):
    """An image of train with noise on its pixels: the narrower the noise, the more it copies."""

    accepts: ClassVar[frozenset[Modality]] = IMAGES
    solves: ClassVar[frozenset[TaskKind]] = AN_IMAGE
    family: str = "kernel_density"
    # standard deviation of the noise; the features are standardised
    bandwidth: float = 0.1


@dataclass
class IndependentPixelsConfig(BaselineConfig):
    """Each pixel from an image of train of its own: what likeness is measured from."""

    accepts: ClassVar[frozenset[Modality]] = IMAGES
    solves: ClassVar[frozenset[TaskKind]] = AN_IMAGE
    family: str = "independent_pixels"


@dataclass
class LogisticConfig(BaselineConfig):
    solves: ClassVar[frozenset[TaskKind]] = CLASSES
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
    trees: int = 200
    # null grows each tree until its leaves are pure
    max_depth: int | None = None


@dataclass
class HistGradientBoostingConfig(BaselineConfig):
    family: str = "hist_gradient_boosting"
    # rounds of boosting, each a tree a class
    iterations: int = 100
    learning_rate: float = 0.1


FAMILIES: tuple[type[ModelConfig], ...] = (
    MLPConfig,
    CNNConfig,
    RNNConfig,
    GRUConfig,
    LSTMConfig,
    ResNetConfig,
    SeriesResNetConfig,
    EfficientNetConfig,
    TorchvisionConfig,
    TimmConfig,
    MiniLMConfig,
    TransformerConfig,
    MatrixFactorisationConfig,
    NeuralRecommenderConfig,
    GPTConfig,
    EncoderDecoderConfig,
    GANConfig,
    MajorityConfig,
    MeanConfig,
    RidgeConfig,
    NaiveConfig,
    HARConfig,
    NGramConfig,
    CopySourceConfig,
    TranslationMemoryConfig,
    GaussianConfig,
    GaussianMixtureConfig,
    KernelDensityConfig,
    IndependentPixelsConfig,
    LogisticConfig,
    KNNConfig,
    RandomForestConfig,
    HistGradientBoostingConfig,
)
