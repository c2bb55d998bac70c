"""Finds the prepared data of a config, or prepares it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from heldout.config.data import DataConfig, FileData
from heldout.data.card import CARD_FILE, Card
from heldout.data.errors import CardMismatch
from heldout.data.hashing import hash_json
from heldout.data.prepare import config_hash, prepare
from heldout.data.sources import user_files_hash

logger = logging.getLogger(__name__)

DVC_ROOT = Path("data/prepared")
OWN_ROOT = Path(".heldout/prepared")


@dataclass(frozen=True)
class Prepared:
    """A prepared data set: its folder and its card, whose files are those it states."""

    folder: Path
    card: Card


def find_or_prepare(data: DataConfig, given: str | None) -> Prepared:
    """The data set that `data` describes: at `given`, else from the pipeline's own folder, else prepared now.

    Raises:
        CardMismatch: what is at `given` was prepared with other settings, or its files changed.
        UserError: preparing failed.
    """
    folder = Path(given) if given else locate(data)
    if given is None and not (folder / CARD_FILE).is_file():
        logger.info("preparing %s", data.name)
        prepare(data, folder)
    card = Card.load(folder)
    card.verify(folder)
    if card.config_hash != config_hash(data):
        raise CardMismatch(
            f"{folder} was prepared with other settings than data={data.name} has now; expected the same. "
            "Run the prepare stage again, or leave out `prepared` to have the data prepared."
        )
    return Prepared(folder, card)


def locate(data: DataConfig) -> Path:
    """Where the prepared form of `data` is or belongs: the pipeline's folder if it holds just that, else its own."""
    pipeline = DVC_ROOT / data.name
    # a user's file may have changed since the pipeline prepared it; a package's data has not
    is_fixed = not isinstance(data, FileData)
    if is_fixed and (pipeline / CARD_FILE).is_file() and Card.load(pipeline).config_hash == config_hash(data):
        return pipeline
    content = [config_hash(data)]
    if isinstance(data, FileData):
        content.append(user_files_hash(data))
    return OWN_ROOT / f"{data.name}-{hash_json(content)[:12]}"
