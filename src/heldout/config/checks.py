"""What types cannot say: ranges, and values that do not go together. Imports nothing heavy."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from heldout.config.data import (
    CorpusData,
    DataConfig,
    FileData,
    FilesData,
    InteractionsData,
    LabelledData,
    MelConfig,
    Modality,
    PairsData,
    SeriesData,
    SP500Data,
    SplitConfig,
    SplitMethod,
    TableData,
    TaskKind,
    TextFilesData,
    TokensConfig,
    Vocabulary,
    reading_encoding,
)
from heldout.config.model import FAMILIES, CNNConfig, ResNetConfig
from heldout.config.stages import StudyRunConfig, TrainConfig
from heldout.config.study import problems_of
from heldout.config.tracking import TrackingConfig, address_problem
from heldout.config.training import (
    Accelerator,
    ClassifyConfig,
    GenerateConfig,
    LanguageConfig,
    Mode,
    RecommendConfig,
    RegressConfig,
    TaskConfig,
    TranslateConfig,
)
from heldout.config.transfer import TransferConfig
from heldout.scoring import scoring_of

Rule = tuple[Callable[[Any], bool], str]

POSITIVE: Rule = (lambda value: value > 0, "more than 0")
AT_LEAST_ZERO: Rule = (lambda value: value >= 0, "0 or more")
BELOW_ONE: Rule = (lambda value: 0 <= value < 1, "0 or more and below 1")
SHARE: Rule = (lambda value: 0 < value < 1, "between 0 and 1")
UP_TO_ONE: Rule = (lambda value: 0 < value <= 1, "more than 0, at most 1")

TASKS: dict[str, type[TaskConfig]] = {
    "classify": ClassifyConfig,
    "regress": RegressConfig,
    "recommend": RecommendConfig,
    "language": LanguageConfig,
    "translate": TranslateConfig,
    "generate": GenerateConfig,
}
_TARGETS = {
    TaskKind.classification: "a class",
    TaskKind.regression: "a number",
    TaskKind.recommendation: "a rating",
    TaskKind.language: "the next token",
    TaskKind.translation: "a translation",
    TaskKind.generation: "an image to be drawn",
}
# options of `transfer` that leave the weights to the user, and what these are
_WEIGHTS = {
    "run": "the folder of a record, runs:/ID of a run in MLflow, or models:/NAME/VERSION or models:/NAME@ALIAS of its "
    "registry",
    "file": "a .pth or .safetensors file",
}
# what is written token by token: any text must be, so that losses of all models are of the same bytes
WRITTEN = (TaskKind.language, TaskKind.translation)
# a token for each byte, beside the special ones
FEWEST_BYTE_TOKENS = 256 + 3
# the two that surround a text of minilm, and one between
FEWEST_PIECES = 3

# by the name of the key, wherever it stands
RULES: dict[str, Rule] = {
    "learning_rate": POSITIVE,
    "dropout": BELOW_ONE,
    "input_dropout": BELOW_ONE,
    "label_smoothing": BELOW_ONE,
    "width": POSITIVE,
    "depth": POSITIVE,
    "latent": POSITIVE,
    "gradient_penalty": AT_LEAST_ZERO,
    "average_decay": BELOW_ONE,
    "components": POSITIVE,
    "regularisation": POSITIVE,
    "bandwidth": AT_LEAST_ZERO,
    "pictures": AT_LEAST_ZERO,
    "draw": POSITIVE,
    "heads": POSITIVE,
    "patch": POSITIVE,
    "kernel_size": POSITIVE,
    "kernel_sizes": (lambda value: value and all(v > 0 for v in value), "a list of whole numbers above 0"),
    "stride": POSITIVE,
    "hidden": (lambda value: value and all(v > 0 for v in value), "a list of whole numbers above 0"),
    "neighbors": POSITIVE,
    "trees": POSITIVE,
    "iterations": POSITIVE,
    "max_iter": POSITIVE,
    "C": POSITIVE,
    "alpha": POSITIVE,
    "channel": AT_LEAST_ZERO,
    "spans": (lambda value: value and all(v > 0 for v in value), "a list of whole numbers above 0"),
    "window": POSITIVE,
    "embargo": AT_LEAST_ZERO,
    "until": UP_TO_ONE,
    "scale": (lambda value: len(value) == 2 and value[0] < value[1], "the lowest and the highest rating, or null"),
    "max_epochs": POSITIVE,
    "batch_size": POSITIVE,
    "eval_batch_size": POSITIVE,
    "patience": POSITIVE,
    "gradient_clip": POSITIVE,
    "train_subset": POSITIVE,
    "threads": POSITIVE,
    "devices": POSITIVE,
    "looks": AT_LEAST_ZERO,
    "image_size": (lambda value: value >= 32, "32 or more"),
    "frozen_epochs": AT_LEAST_ZERO,
    "layer_decay": UP_TO_ONE,
    "sha256": (lambda value: bool(re.fullmatch("[0-9a-f]{64}", value)), "64 hexadecimal digits"),
    "steps": POSITIVE,
    "limit": POSITIVE,
    "length": (lambda value: value >= 12, "12 or more, so that something lies between question and answer"),
    "examples": POSITIVE,
    "train_share": UP_TO_ONE,
    "need_share": UP_TO_ONE,
    "flush_seconds": POSITIVE,
    "request_seconds": POSITIVE,
    "start_seconds": POSITIVE,
    "close_seconds": POSITIVE,
    "system_metrics_seconds": POSITIVE,
    "expansion": POSITIVE,
    "embedding": POSITIVE,
    "vocabulary": (lambda value: value > 2, "more than 2, the number of special tokens"),
    "max_tokens": POSITIVE,
    "order": POSITIVE,
    "count": AT_LEAST_ZERO,
    "longest_run": POSITIVE,
    "samples": AT_LEAST_ZERO,
    "translated": POSITIVE,
    "beam": POSITIVE,
    "length_penalty": AT_LEAST_ZERO,
    "longest_side": (lambda value: value > 1, "more than 1"),
    "temperature": POSITIVE,
    "top_p": UP_TO_ONE,
    "sample_rate": POSITIVE,
    "mels": POSITIVE,
    "window_ms": POSITIVE,
    "hop_ms": POSITIVE,
    "low_hz": AT_LEAST_ZERO,
    "high_hz": POSITIVE,
    "max_seconds": POSITIVE,
    "speakers": POSITIVE,
    "min_frequency": POSITIVE,
    "max_depth": POSITIVE,
    "padding": AT_LEAST_ZERO,
    "crop_padding": AT_LEAST_ZERO,
    "size": (lambda value: len(value) == 2 and min(value) > 0, "height and width, both above 0, or null"),
    "channels": (lambda value: value in (1, 3), "1 (grey) or 3 (red, green, blue)"),
    "overfit_gap": SHARE,
    "max_interval_width": SHARE,
    "memorising_train_score": SHARE,
    "memorising_validation_lift": SHARE,
    "underfit_lift": SHARE,
    "overfit_copied": SHARE,
    "max_copied_width": POSITIVE,
    "underfit_recall": SHARE,
    "overfit_loss_rise": POSITIVE,
    "min_examples": POSITIVE,
    "onset_min_epochs": POSITIVE,
    "calibration_bins": POSITIVE,
    "imbalance": (lambda value: value >= 1, "1 or more"),
    "checkpoint_seconds": AT_LEAST_ZERO,
    "nodes": POSITIVE,
    "node_seconds": POSITIVE,
    "weight_decay": AT_LEAST_ZERO,
    "momentum": BELOW_ONE,
    "warmup": BELOW_ONE,
    "confidence": SHARE,
    "bootstrap_samples": POSITIVE,
    "seeds": (lambda value: value and len(set(value)) == len(value), "at least one seed, none twice"),
    "trials": POSITIVE,
    "seconds": POSITIVE,
    "trial_seconds": POSITIVE,
    "restarts": AT_LEAST_ZERO,
    "folds": (lambda value: value >= 2, "2 or more, or null"),
    "top": AT_LEAST_ZERO,
    "cpus": POSITIVE,
    "gpus": AT_LEAST_ZERO,
    "workers": POSITIVE,
    "max_concurrent": POSITIVE,
    "wait_seconds": AT_LEAST_ZERO,
    "grace_epochs": POSITIVE,
    "reduction_factor": (lambda value: value > 1, "more than 1"),
    "min_trials": POSITIVE,
    "interval": POSITIVE,
    "startup_trials": POSITIVE,
    "quantile": (lambda value: 0 < value <= 0.5, "more than 0, at most 0.5"),
}


def check(config: Any, files_here: bool = True) -> list[str]:
    """Every reason why a typed config cannot be run; an empty list when there is none.

    files_here: whether it is to run on this machine, so that the user's files have to be here.
    """
    problems = list(_out_of_range(config, ""))
    data = getattr(config, "data", None)
    if isinstance(data, DataConfig):
        problems += _split(data.split)
        problems += _target(data)
        problems += _of_time(data)
        if isinstance(mel := getattr(data, "mel", None), MelConfig):
            problems += _mel(mel)
        if isinstance(tokens := getattr(data, "tokens", None), TokensConfig):
            problems += _tokens(data, tokens)
        if isinstance(data, FileData):
            problems += _files(data, files_here)
    tracking = getattr(config, "tracking", None)
    if isinstance(tracking, TrackingConfig) and (problem := address_problem(tracking.uri)):
        problems.append(problem)
    if isinstance(config, TrainConfig):
        problems += _train(config)
    if isinstance(config, StudyRunConfig):
        problems += problems_of(config.study)
    return problems


def _out_of_range(node: Any, parent: str) -> Iterator[str]:
    for item in fields(node):
        value = getattr(node, item.name)
        key = f"{parent}.{item.name}" if parent else item.name
        if is_dataclass(value):
            yield from _out_of_range(value, key)
        elif value is not None and item.name in RULES and type(value) is not dict:
            accepts, expected = RULES[item.name]
            if not accepts(value):
                yield f"{key}={value}: expected {expected}."


def _split(split: SplitConfig) -> Iterator[str]:
    for name in ("validation", "test"):
        share = getattr(split, name)
        if not 0 < share < 1:
            yield f"data.split.{name}={share}: expected a share of the examples, between 0 and 1."
    if split.validation + split.test >= 1:
        yield (
            f"data.split.validation={split.validation} and data.split.test={split.test} leave nothing to train on; "
            "expected a sum below 1."
        )


def _target(data: DataConfig) -> Iterator[str]:
    if data.task is not TaskKind.classification and data.split.method is SplitMethod.stratified:
        methods = ", ".join(method.name for method in SplitMethod if method is not SplitMethod.stratified)
        yield (
            f"data.split.method=stratified with data.task={data.task.name}: numbers have no classes to stratify by. "
            f"Expected one of: {methods}."
        )
    if data.task is TaskKind.translation and data.split.method is SplitMethod.random:
        yield (
            "data.split.method=random with data.task=translation: the same text could stand in two splits. Expected "
            "grouped, which keeps texts that are alike together, or given."
        )


def _of_time(data: DataConfig) -> Iterator[str]:
    split = data.split
    if split.embargo and split.method is not SplitMethod.time:
        yield (
            f"data.split.embargo={split.embargo} with data.split.method={split.method.name}: no border in time to "
            "keep away from. Expected data.split.method=time, or an embargo of 0."
        )
    if split.until != 1 and split.method is not SplitMethod.time:
        yield (
            f"data.split.until={split.until} with data.split.method={split.method.name}: none of the examples are the "
            "oldest. Expected data.split.method=time, or 1."
        )
    if isinstance(data, SP500Data) and (split.method is not SplitMethod.time or split.embargo < data.window):
        yield (
            f"data.split.method={split.method.name} with data.split.embargo={split.embargo} and "
            f"data.window={data.window}: windows on both sides of a border would share days. Expected "
            "data.split.method=time and an embargo of at least the window."
        )


def _mel(mel: MelConfig) -> Iterator[str]:
    if mel.high_hz is not None and not mel.low_hz < mel.high_hz <= mel.sample_rate / 2:
        yield (
            f"data.mel.high_hz={mel.high_hz} with data.mel.low_hz={mel.low_hz} and data.mel.sample_rate="
            f"{mel.sample_rate}: expected more than low_hz and at most half the sample rate."
        )
    if round(mel.hop_ms * mel.sample_rate / 1000) < 1 or round(mel.window_ms * mel.sample_rate / 1000) < 2:
        yield (
            f"data.mel.window_ms={mel.window_ms} and data.mel.hop_ms={mel.hop_ms}: expected a sample in a hop, and two "
            "in a window, at least."
        )


def _tokens(data: DataConfig, tokens: TokensConfig) -> Iterator[str]:
    if data.task in WRITTEN and tokens.kind is not Vocabulary.bytes:
        yield (
            f"data.tokens.kind={tokens.kind.name} with data.task={data.task.name}: these cannot write every text. "
            "Expected data.tokens.kind=bytes."
        )
    if tokens.kind is Vocabulary.bytes and tokens.vocabulary < FEWEST_BYTE_TOKENS:
        yield (
            f"data.tokens.vocabulary={tokens.vocabulary} with data.tokens.kind=bytes: expected {FEWEST_BYTE_TOKENS} or "
            "more, a token for each byte and the special ones."
        )
    if tokens.kind is Vocabulary.minilm and tokens.max_tokens < FEWEST_PIECES:
        yield (
            f"data.tokens.max_tokens={tokens.max_tokens} with data.tokens.kind=minilm: expected {FEWEST_PIECES} or "
            "more, as two tokens surround each text."
        )


def _files(data: FileData, files_here: bool) -> Iterator[str]:
    if _needs_column(data) and not data.split.column:
        yield (
            f"data.split.method={data.split.method.name} needs data.split.column, the column that holds the "
            f"{ {'grouped': 'group', 'time': 'time', 'given': 'name of the split'}[data.split.method.name] }."
        )
    if isinstance(data, PairsData) and data.translation_path is not None and (data.split.column or data.id):
        yield (
            f"data.translation_path={data.translation_path} with data.split.column={data.split.column} and data.id="
            f"{data.id}: two files of lines have no columns. Expected null for both, or one csv or parquet file."
        )
    for key in ("path", "test_path", "translation_path"):
        given = getattr(data, key, None)
        if given is None or (isinstance(data, FilesData | CorpusData) and Path(given).is_dir()):
            continue
        if not Path(given).is_file():
            if not files_here:
                continue
            yield f"data.{key}={given}: there is no such {_expected(data)}."
        elif Path(given).suffix in (".csv", ".tsv", ".txt") and not _is_plain_text(data):
            yield from _header(data, Path(given))
    if isinstance(data, TextFilesData | CorpusData | PairsData) and (problem := _encoding(data.encoding)):
        yield problem
    if isinstance(data, FilesData) and data.group_pattern is not None:
        yield from _pattern(data.group_pattern)


def _is_plain_text(data: FileData) -> bool:
    if isinstance(data, PairsData):
        return data.translation_path is not None
    return isinstance(data, CorpusData) and Path(data.path).suffix == ".txt"


def _needs_column(data: FileData) -> bool:
    """Whether only a column of the file can say how to split."""
    method = data.split.method
    # pairs have groups of their own: texts that are alike
    if isinstance(data, PairsData) and method is SplitMethod.grouped:
        return False
    if isinstance(data, CorpusData) and Path(data.path).is_dir():
        return method in (SplitMethod.grouped, SplitMethod.time)
    if isinstance(data, FilesData) and Path(data.path).is_dir():
        return method is SplitMethod.time
    by_file = method is SplitMethod.given and bool(getattr(data, "test_path", None))
    return method in (SplitMethod.grouped, SplitMethod.time, SplitMethod.given) and not by_file


def _expected(data: FileData) -> str:
    if isinstance(data, CorpusData):
        return "folder or file; expected a folder of .txt files, one such file, or a csv or parquet file"
    if isinstance(data, PairsData):
        return "file; expected a csv or parquet file, or with data.translation_path two files of lines"
    if isinstance(data, FilesData):
        return "folder or file; expected a folder with a folder for each class, or a csv or parquet file"
    return f"file; expected a {'csv, parquet or .ts' if isinstance(data, SeriesData) else 'csv or parquet'} file"


def _encoding(encoding: str) -> str | None:
    try:
        codecs.lookup(encoding)
    except LookupError:
        return f"data.encoding={encoding}: there is no such encoding; expected for example utf-8 or latin-1."
    return None


def _pattern(pattern: str) -> Iterator[str]:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        yield f"data.group_pattern={pattern}: no regular expression: {error}."
        return
    if groups != 1:
        yield f"data.group_pattern={pattern}: it has {groups} groups; expected one pair of parentheses."


def _header(data: FileData, path: Path) -> Iterator[str]:
    if len(data.separator) != 1:
        yield f"data.separator={data.separator}: expected one character."
        return
    try:
        with path.open(encoding=reading_encoding(data.encoding), newline="") as lines:
            header = next(csv.reader(lines, delimiter=data.separator), [])
    except (UnicodeDecodeError, LookupError) as error:
        yield f"data.path={path}: cannot be read as data.encoding={data.encoding}: {error}."
        return
    if not header:
        yield f"data.path={path}: the file is empty; expected a header line and rows."
        return
    for given, column in _named_columns(data):
        if column is not None and column not in header:
            shown = ", ".join(header[:20]) + (", ..." if len(header) > 20 else "")
            hint = " Is data.separator right?" if len(header) == 1 else ""
            yield f"{given}: there is no such column in {path}. Its columns: {shown}.{hint}"


def _named_columns(data: FileData) -> list[tuple[str, str | None]]:
    """What the config says and the column it names, for each column that it names."""
    named = {"data.id": data.id, "data.split.column": data.split.column}
    if isinstance(data, LabelledData):
        named = {"data.target": data.target, **named}
    if isinstance(data, CorpusData | PairsData):
        named["data.text"] = data.text
    if isinstance(data, PairsData):
        named["data.translation"] = data.translation
    if isinstance(data, SeriesData):
        named["data.time"] = data.time
    if isinstance(data, InteractionsData):
        named |= {"data.user": data.user, "data.item": data.item}
    if isinstance(data, FilesData):
        named |= {"data.text": data.text} if isinstance(data, TextFilesData) else {"data.file": data.file}
    wanted = [(f"{key}={column}", column) for key, column in named.items()]
    if isinstance(data, TableData):
        wanted += [(f"data.columns.{name}={kind.name}", name) for name, kind in data.columns.items()]
    if isinstance(data, SeriesData):
        wanted += [(f"data.values={name}", name) for name in data.values]
    return wanted


def _train(config: TrainConfig) -> Iterator[str]:
    modality = config.data.modality
    if modality not in type(config.model).accepts:
        yield (
            f"model={config.model.family} with data={config.data.name}: the data set is a {modality.name}, which this "
            f"family cannot read. Expected one of: {', '.join(_families_for(config.data))}."
        )
    yield from _task(config)
    if isinstance(config.task, ClassifyConfig) and modality is not Modality.image:
        for key in ("crop_padding", "flip"):
            if value := getattr(config.task, key):
                yield f"task.{key}={value} with data={config.data.name}, a {modality.name}: expected an image data set."
    if isinstance(config.task, GenerateConfig):
        yield from _generate(config)
    heads = getattr(config.model, "heads", None)
    width = getattr(config.model, "width", None)
    if heads and width and width % heads:
        yield f"model.width={width} with model.heads={heads}: expected a width that the heads divide."
    if isinstance(config.model, ResNetConfig) and config.model.kernel_size % 2 == 0:
        yield f"model.kernel_size={config.model.kernel_size}: expected an odd number, which keeps the length."
    if isinstance(config.model, CNNConfig) and len(config.model.kernel_sizes) > config.model.depth:
        yield (
            f"model.kernel_sizes={config.model.kernel_sizes} with model.depth={config.model.depth}: expected at most "
            "one size a convolution."
        )
    yield from _metrics(config)
    if twice := sorted(set(config.seeds) & set(config.sweep.refit.seeds)):
        yield (
            f"seeds={config.seeds} and sweep.refit.seeds={config.sweep.refit.seeds} share {twice}: expected seeds that "
            "no trial has had."
        )
    if config.trainer.devices > 1 and config.trainer.accelerator is Accelerator.mps:
        yield f"trainer.devices={config.trainer.devices}: there is one mps device; expected 1."
    yield from _transfer(config)
    yield from _workers(config)


def _generate(config: TrainConfig) -> Iterator[str]:
    if config.is_baseline:
        return
    if config.trainer.precision != "32-true":
        yield (
            f"trainer.precision={config.trainer.precision} with task=generate: gradients of gradients ask for "
            "trainer.precision=32-true."
        )
    for key, count in _processes(config).items():
        if count > 1:
            yield f"{key}={count} with task=generate: one process trains a generator and its critic. Expected 1."


def _task(config: TrainConfig) -> Iterator[str]:
    kind = config.data.task
    if config.task.solves is not kind:
        fitting = [name for name, task in TASKS.items() if task.solves is kind]
        yield (
            f"task={config.task.name} with data={config.data.name}: the target of this data set is "
            f"{_TARGETS[kind]} (data.task={kind.name}). Expected task={' or '.join(fitting)}."
        )
    if kind not in type(config.model).solves:
        yield (
            f"model={config.model.family} with data={config.data.name}: the target is {_TARGETS[kind]} "
            f"(data.task={kind.name}), which this family cannot predict. Expected one of: "
            f"{', '.join(_families_for(config.data))}."
        )


def _metrics(config: TrainConfig) -> Iterator[str]:
    """Whether the metrics by which epochs and trials are chosen are those of the task, and better the way they say."""
    measures = [measure for measure in scoring_of(config.data.task.name).measures if measure.each_epoch]
    names = " or ".join(measure.name for measure in measures)
    if config.trainer.monitor not in {measure.name for measure in measures}:
        yield f"trainer.monitor={config.trainer.monitor}: expected {names}, of validation."
    objective = config.sweep.objective
    better = {measure.name: Mode.max if measure.higher_is_better else Mode.min for measure in measures}
    if better.get(objective.metric) is not objective.mode:
        pairs = ", or ".join(f"{name} with {mode.name}" for name, mode in better.items())
        yield (
            f"sweep.objective.metric={objective.metric}, sweep.objective.mode={objective.mode.name}: expected {pairs}, "
            "of validation."
        )


def _transfer(config: TrainConfig) -> Iterator[str]:
    if config.is_baseline:
        return
    tokens = getattr(config.data, "tokens", None)
    if config.transfer.weights == "minilm" and tokens is not None and tokens.kind is not Vocabulary.minilm:
        yield (
            f"transfer.weights=minilm with data.tokens.kind={tokens.kind.name}: these weights know the pieces of words "
            "that they were trained on. Expected data.tokens.kind=minilm."
        )
    yield from _weights(config.transfer)
    frozen = config.transfer.frozen_epochs
    key, workers = max(_processes(config).items(), key=lambda item: item[1])
    if frozen and workers > 1:
        yield (
            f"transfer.frozen_epochs={frozen} with {key}={workers}: several workers agree at the start on what they "
            "train. Expected 0, or one worker."
        )


def _weights(transfer: TransferConfig) -> Iterator[str]:
    """That weights are given where something is done with them: without, the training would go well, only worse."""
    if transfer.weights:
        return
    if transfer.name in _WEIGHTS:
        yield (
            f"transfer={transfer.name}: transfer.weights names no weights. Expected transfer.weights="
            f"{_WEIGHTS[transfer.name]}; or transfer=none, to begin at random."
        )
        return
    if transfer.weights == "":
        yield "transfer.weights= names no weights. Expected some; or null, to begin at random."
    for key, value in (("frozen_epochs", transfer.frozen_epochs), ("fixed_statistics", transfer.fixed_statistics)):
        if value:
            yield (
                f"transfer.{key}={str(value).lower()} without transfer.weights: it would keep what is at random. "
                f"Expected weights, or transfer.{key}={str(type(value)()).lower()}."
            )


def _processes(config: TrainConfig) -> dict[str, int]:
    """How many share a training, by the keys that say so."""
    return {
        "trainer.devices": config.trainer.devices,
        "trainer.nodes": config.trainer.nodes,
        "sweep.resources.workers": config.sweep.resources.workers,
    }


def _workers(config: TrainConfig) -> Iterator[str]:
    devices, nodes, workers = config.trainer.devices, config.trainer.nodes, config.sweep.resources.workers
    if config.is_baseline:
        if nodes > 1:
            yield f"trainer.nodes={nodes} with model={config.model.family}: one process fits a baseline. Expected 1."
        return
    for key, count in (("trainer.devices", devices), ("trainer.nodes", nodes)):
        if count > 1 and workers > 1:
            yield (
                f"{key}={count} with sweep.resources.workers={workers}: both say how many share a training. "
                f"Expected {key}=1 in a sweep whose trials have several workers."
            )
    over_nodes = "" if nodes == 1 else f"trainer.nodes={nodes} with "
    for given, count in (
        (f"{over_nodes}trainer.devices={devices}", devices * nodes),
        (f"sweep.resources.workers={workers}", workers),
    ):
        if count > max(1, config.trainer.batch_size):
            yield (
                f"{given} with trainer.batch_size={config.trainer.batch_size}: expected at least one example of "
                "each batch a worker."
            )


def _families_for(data: DataConfig) -> list[str]:
    return [str(family.family) for family in FAMILIES if data.modality in family.accepts and data.task in family.solves]
