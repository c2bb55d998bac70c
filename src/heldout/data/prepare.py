"""The prepare stage: a source becomes three Arrow files and a card."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from heldout.config.data import DataConfig, TokensConfig
from heldout.data.card import CARD_FILE, SPLITS, Card, Column
from heldout.data.errors import OutputOccupied, SplitImpossible, shown
from heldout.data.hashing import hash_file, hash_json
from heldout.data.packing import packed
from heldout.data.pairs import paired
from heldout.data.raw import RawData
from heldout.data.sources import load_source
from heldout.data.splits import Rows, limit_rows, share_of_train, split_rows
from heldout.data.statistics import compute_statistics, target_statistics
from heldout.data.store import file_name, input_specs, write_split
from heldout.data.subset import fixed_subset
from heldout.data.tokens import train_tokenizer, with_tokens
from heldout.scoring import MEASURED

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
    too_long: dict[str, int] = {}
    part_of = _parts(with_train_vocabulary(raw, rows["train"]), rows, config, too_long)
    with _replacing(out) as folder:
        class_counts: dict[str, list[int]] = {}
        counts: dict[str, int] = {}
        for name in SPLITS:
            part = part_of(name)
            write_split(folder / file_name(name), part)
            counts[name], class_counts[name] = len(part), _class_counts(part)
        card = _describe(part_of("train"), counts, class_counts, too_long, config, folder, source_hash)
        card.save(folder)
    log.info("%s: %s examples in %s", card.name, card.counts, out)
    if sum(too_long.values()):
        log.info("%s: left out, because a side has more than data.tokens.max_tokens: %s", card.name, too_long)
    return card


def _parts(raw: RawData, rows: Rows, config: DataConfig, too_long: dict[str, int]) -> Callable[[str], RawData]:
    """The data by the name of a split; texts as tokens, by a tokenizer that has seen train and nothing else.

    too_long: is told how many pairs for translation a split lost.
    """
    settings = getattr(config, "tokens", TokensConfig())
    if raw.texts is None:
        return lambda name: raw.take(rows[name])
    if not raw.continued and not raw.is_translated:
        encoded = with_tokens(raw, rows["train"], settings)
        return lambda name: encoded.take(rows[name])
    seen = raw.take(rows["train"])
    assert seen.texts is not None
    both = [] if seen.translations is None else seen.translations.tolist()
    # translations are scored by a package more
    extra = "translation" if seen.is_translated else "text"
    tokenizer = train_tokenizer([*seen.texts.tolist(), *both], settings, extra)
    known = replace(raw, tokenizer=tokenizer.to_str(), vocabulary=tokenizer.get_vocab_size())

    def part(name: str) -> RawData:
        of_split = known.take(rows[name])
        if known.continued:
            blocks = packed(of_split, tokenizer, settings.max_tokens)
            if config.limit is None:
                return blocks
            # few texts may be long ones
            most = math.ceil(config.limit * len(rows[name]) / sum(map(len, rows.values())))
            return blocks.take(fixed_subset(len(blocks), most))
        made, too_long[name] = paired(of_split, tokenizer, settings.max_tokens)
        if len(made) == 0:
            raise SplitImpossible(
                f"data.tokens.max_tokens={settings.max_tokens} leaves no pair in the {name} split: each has a longer "
                "side; expected more tokens."
            )
        return made

    return part


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
    too_long: dict[str, int],
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
        target=target_statistics(train.target) if train.task in MEASURED else {},
        tokenizer=train.tokenizer,
        vocabulary=train.vocabulary,
        too_long=too_long,
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
