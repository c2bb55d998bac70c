"""Examples to predict: rows of a file of the user's, or a split of prepared data, as models read them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from heldout.config.compose import load_data_config
from heldout.config.data import (
    AudioData,
    CorpusData,
    DataConfig,
    FileData,
    InteractionsData,
    PairsData,
    SeriesData,
    TableData,
    TextFilesData,
)
from heldout.config.predict import PredictConfig
from heldout.data.card import Card
from heldout.data.columns import column_numbers, column_text, encode_table
from heldout.data.errors import DataError, shown
from heldout.data.sources._files import read_table
from heldout.data.sources.audio import SUFFIXES
from heldout.data.sources.corpus import read_lines
from heldout.data.store import read_split
from heldout.data.tokens import load_tokenizer
from heldout.predict.errors import DoesNotFit
from heldout.predict.model import TrainedModel
from heldout.predict.recordings import listed_recordings, mel_inputs, recordings_in
from heldout.scoring import TRANSLATION

if TYPE_CHECKING:
    from collections.abc import Iterator


logger = logging.getLogger(__name__)

# a file of lines
LINES = ".txt"


@dataclass(frozen=True)
class Examples:
    """ids: text [n]; inputs: by name, [n, ...], as the card states them."""

    ids: np.ndarray
    inputs: dict[str, np.ndarray]


def examples_of(config: PredictConfig, model: TrainedModel) -> Examples:
    """What the config names.

    Raises:
        DoesNotFit: it is not of the form that the model was trained on; the message says all that is wrong.
        DataError: it cannot be read.
    """
    if config.path is None:
        return _prepared(config, model)
    data = load_data_config(model.config_file)
    card, path = model.card, Path(config.path)
    if isinstance(data, SeriesData):
        return _series(path, replace(data, path=config.path, test_path=None, id=config.id or data.id), card)
    if isinstance(data, AudioData):
        return _recordings(path, data, config, card)
    if not card.columns and not card.tokenizer:
        raise DoesNotFit(
            f"path={path}: the model was trained on {card.name} (data.source={data.source}), and how such examples lie "
            "in a file is known only of data=table, interactions, text, corpus, pairs, series and audio. Leave path "
            f"out, for a split of the data it was trained on; or give arrays of the shape {card.input_shape} each to "
            "the model itself, as mlflow.pyfunc.load_model loads it."
        )
    if card.task == TRANSLATION and path.suffix == LINES:
        return _lines(path, config, model)
    table = read_table(path, _reader(config), key="path")
    ids = _ids(table, config)
    if card.tokenizer:
        named = data.text if isinstance(data, TextFilesData | CorpusData | PairsData) else "text"
        column = named if named in table.column_names else "text"
        if problems := list(_missing([column], table)):
            raise _does_not_fit(path, card, problems, [f"{column} (text)"])
        texts = [text or "" for text in column_text(table[column], column).to_pylist()]
        return _encoded(ids, texts, model)
    names = _names_in_file(data, card)
    if problems := [*_missing(list(names.values()), table), *_unreadable(card, names, table)]:
        kinds = {"numeric": "number", "categorical": "category"}
        expected = [f"{names[one['name']]} ({kinds[one['kind']]})" for one in card.columns]
        raise _does_not_fit(path, card, problems, expected)
    return Examples(ids, encode_table(pa.table({own: table[given] for own, given in names.items()}), card))


def _names_in_file(data: DataConfig, card: Card) -> dict[str, str]:
    """By the names of the card's columns those in the user's file: ratings have their own, which the config knows."""
    if isinstance(data, InteractionsData):
        return {"user": data.user, "item": data.item}
    return {one["name"]: one["name"] for one in card.columns}


def _lines(path: Path, config: PredictConfig, model: TrainedModel) -> Examples:
    """A text a line; ids are the numbers of the lines."""
    texts = read_lines(path, config.encoding)
    return _encoded(np.arange(1, len(texts) + 1).astype(str), texts, model)


def _encoded(ids: np.ndarray, texts: list[str], model: TrainedModel) -> Examples:
    card = model.card
    inputs = model.predictor.encoded(texts)
    if card.task == TRANSLATION:
        most = card.inputs["source"]["shape"][0] - 1
        counts = [len(one.ids) for one in load_tokenizer(card.tokenizer).encode_batch(texts)]
        if longer := [name for name, count in zip(ids.tolist(), counts, strict=True) if count > most]:
            logger.warning(
                "of %d texts the first %d tokens are read, the most that a text had that the model learned from: %s",
                len(longer),
                most,
                shown(longer),
            )
    return Examples(ids, inputs)


def _prepared(config: PredictConfig, model: TrainedModel) -> Examples:
    folder = Path(config.prepared) if config.prepared else model.data
    if folder is None or not folder.is_dir():
        raise DoesNotFit(
            f"the data that the model was trained on are not {'named' if folder is None else f'in {folder}'} here; "
            "expected path=FILE, or prepared=FOLDER with prepared data."
        )
    card = Card.load(folder)
    card.verify(folder)
    if card.data_hash != model.card.data_hash:
        raise DoesNotFit(
            f"the model was trained on data {model.card.data_hash[:12]}..., {folder} holds {card.data_hash[:12]}...; "
            "expected the same, as categories and words may have other codes there. Give the rows as path=FILE."
        )
    split = read_split(folder, config.split.value)
    return Examples(split.ids, split.inputs)


def _series(path: Path, data: SeriesData, card: Card) -> Examples:
    from heldout.data.sources.series import read_series

    ids, inputs = read_series(path, data)
    return Examples(ids, _as_long(path, inputs, card))


def _recordings(path: Path, data: AudioData, config: PredictConfig, card: Card) -> Examples:
    if path.is_dir():
        files = recordings_in(path)
        ids = np.array([file.relative_to(path).as_posix() for file in files])
    elif path.suffix.lower() in SUFFIXES:
        files, ids = [path], np.array([path.name])
    else:
        table = read_table(path, _reader(config), key="path")
        files = listed_recordings(path, table, data.file)
        ids = _ids(table, config) if config.id else np.array(column_text(table[data.file], data.file).to_pylist())
    return Examples(ids, _as_long(path, mel_inputs(path, files, data), card))


def _as_long(path: Path, inputs: dict[str, np.ndarray], card: Card) -> dict[str, np.ndarray]:
    """Series with as many steps as those of the training, zeros after their end."""
    channels, steps = card.input_shape
    found = inputs["x"]
    length = inputs.get("length", np.full(len(found), found.shape[2], np.int32))
    varying = "length" in card.inputs
    if found.shape[1] != channels or found.shape[2] > steps or (not varying and (length != steps).any()):
        raise DoesNotFit(
            f"path={path} holds series of {found.shape[1]} channels and {length.min()} to {length.max()} steps; the "
            f"model was trained on {channels} channels and {'at most ' if varying else ''}{steps} steps; expected the "
            "same."
        )
    x = np.zeros((len(found), channels, steps), np.float32)
    x[:, :, : found.shape[2]] = found
    return {"x": x, "length": length} if varying else {"x": x}


def _reader(config: PredictConfig) -> FileData:
    return TableData(
        name="", path=str(config.path), target="", id=config.id, separator=config.separator, encoding=config.encoding
    )


def _ids(table: pa.Table, config: PredictConfig) -> np.ndarray:
    if config.id is None:
        return np.array([str(row) for row in range(1, table.num_rows + 1)])
    if config.id not in table.column_names:
        raise DoesNotFit(
            f"id={config.id}: there is no such column in {config.path}; it has {shown(table.column_names)}."
        )
    return np.array(["" if one is None else one for one in column_text(table[config.id], config.id).to_pylist()])


def _missing(names: list[str], table: pa.Table) -> Iterator[str]:
    if missing := [name for name in names if name not in table.column_names]:
        yield f"the columns {shown(missing)} are missing"


def _unreadable(card: Card, names: dict[str, str], table: pa.Table) -> Iterator[str]:
    for column in card.columns:
        name = names[column["name"]]
        if name not in table.column_names:
            continue
        try:
            if column["kind"] == "numeric":
                column_numbers(table[name], name)
            else:
                column_text(table[name], name)
        except DataError as error:
            # its first sentence; how to mend it in `data.columns` does not help here
            yield str(error).partition(";")[0].partition(". ")[0]


def _does_not_fit(path: Path, card: Card, problems: list[str], expected: list[str]) -> DoesNotFit:
    return DoesNotFit(
        f"path={path} does not fit the model, which was trained on {card.name}: {'; '.join(problems)}. Expected the "
        f"columns {', '.join(expected)}; others are left aside."
    )
