"""The prepare stage: a source becomes three Arrow files and a card."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from heldout.config.data import DataConfig, TokensConfig
from heldout.data.card import CARD_FILE, SPLITS, Card, Column
from heldout.data.errors import OutputOccupied, shown
from heldout.data.hashing import hash_file, hash_json
from heldout.data.packing import packed
from heldout.data.raw import RawData
from heldout.data.sources import load_source
from heldout.data.splits import Rows, limit_rows, share_of_train, split_rows
from heldout.data.statistics import compute_statistics, target_statistics
from heldout.data.store import file_name, input_specs, write_split
from heldout.data.tokens import train_tokenizer, with_tokens

log = logging.getLogger(__name__)


def prepare(config: DataConfig, out: Path) -> Card:
    """Loads the source, splits it and writes `{train,validation,test}.arrow` and `card.json` into `out`.

    The same source and config give the same bytes. The folder appears complete or not at all; an earlier one is
    replaced at the end.

    Raises:
        DataError: the source, its content or the split is not usable, or `out` holds other files.
    """
    out = Path(out)
    _check_free(out)
    raw = load_source(config)
    source_hash = raw.content_hash()
    if config.limit is not None:
        raw = raw.take(limit_rows(raw, config.limit, config.split.seed))
    rows = split_rows(raw, config.split)
    rows["train"] = share_of_train(raw, rows["train"], config.train_share)
    part_of = _parts(with_train_vocabulary(raw, rows["train"]), rows, config)
    with _replacing(out) as folder:
        class_counts: dict[str, list[int]] = {}
        counts: dict[str, int] = {}
        for name in SPLITS:
            part = part_of(name)
            write_split(folder / file_name(name), part)
            counts[name], class_counts[name] = len(part), _class_counts(part)
        card = _describe(part_of("train"), counts, class_counts, config, folder, source_hash)
        card.save(folder)
    log.info("%s: %s examples in %s", card.name, card.counts, out)
    return card


def _parts(raw: RawData, rows: Rows, config: DataConfig) -> Callable[[str], RawData]:
    """The data by the name of a split; texts as tokens, by a tokenizer that has seen train and nothing else."""
    settings = getattr(config, "tokens", TokensConfig())
    if raw.texts is not None and not raw.continued:
        raw = with_tokens(raw, rows["train"], settings)
    if not raw.continued:
        return lambda name: raw.take(rows[name])
    assert raw.texts is not None
    tokenizer = train_tokenizer(raw.texts[rows["train"]].tolist(), settings)
    known = replace(raw, tokenizer=tokenizer.to_str(), vocabulary=tokenizer.get_vocab_size())
    return lambda name: packed(known.take(rows[name]), tokenizer, settings.max_tokens)


def with_train_vocabulary(raw: RawData, train: np.ndarray) -> RawData:
    """Keeps, of each categorical column, the categories that occur in train; the codes of others become 0.

    A category that only validation or test holds is unknown to a model when it is fitted, as it would be in use.
    """
    if "categorical" not in raw.inputs:
        return raw
    codes = raw.inputs["categorical"].copy()
    columns: list[Column] = []
    position = 0
    for column in raw.columns:
        if column["kind"] == "categorical":
            occurring = np.unique(codes[train, position])
            occurring = occurring[occurring > 0]
            recode = np.zeros(len(column["categories"]) + 1, dtype=codes.dtype)
            recode[occurring] = np.arange(1, len(occurring) + 1)
            codes[:, position] = recode[codes[:, position]]
            column = Column(
                name=column["name"],
                kind="categorical",
                categories=[column["categories"][code - 1] for code in occurring],
            )
            position += 1
        columns.append(column)
    return replace(raw, inputs={**raw.inputs, "categorical": codes}, columns=columns)


def config_hash(config: DataConfig) -> str:
    """Hash of all values of a data config."""
    return hash_json(OmegaConf.to_container(OmegaConf.structured(config), resolve=True, enum_to_str=True))


def _describe(
    train: RawData,
    counts: dict[str, int],
    class_counts: dict[str, list[int]],
    config: DataConfig,
    folder: Path,
    source_hash: str,
) -> Card:
    card = Card(
        name=config.name,
        source=config.source,
        modality=config.modality.value,
        task=train.task,
        classes=train.classes,
        counts=counts,
        class_counts=class_counts,
        inputs=input_specs(train.inputs),
        statistics=compute_statistics(train),
        columns=train.columns,
        target={} if train.classes or train.continued or train.drawn else target_statistics(train.target),
        tokenizer=train.tokenizer,
        vocabulary=train.vocabulary,
        config_hash=config_hash(config),
        source_hash=source_hash,
        files={file_name(name): hash_file(folder / file_name(name)) for name in SPLITS},
        license=train.license,
        citation=train.citation,
        description=train.description,
    )
    return replace(card, data_hash=card.compute_data_hash())


def _class_counts(part: RawData) -> list[int]:
    if not part.classes:
        return []
    counts: list[int] = np.bincount(part.class_indices(), minlength=len(part.classes)).tolist()
    return counts


def _check_free(out: Path) -> None:
    """Only what an earlier `prepare` wrote may be replaced."""
    own = {CARD_FILE, *map(file_name, SPLITS)}
    if out.is_dir():
        others = sorted(entry.name for entry in out.iterdir() if entry.name not in own)
    else:
        others = [out.name] if out.exists() else []
    if others:
        raise OutputOccupied(
            f"{out} holds {shown(others)}, which prepare did not write and will not delete; expected a new folder or "
            "one of prepared data."
        )


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """An empty folder beside `out` that takes its place when the block ends well, and vanishes when it does not."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    previous = out.with_name(f".{out.name}.previous")
    for leftover in (partial, previous):  # of a start that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        if out.exists():
            out.rename(previous)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(previous, ignore_errors=True)
