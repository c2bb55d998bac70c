"""The words of JupyterLab in English and French, as its language pack ships them."""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from heldout.config.data import DataConfig, Unreadable
from heldout.data.errors import PackageMissing
from heldout.data.raw import RawData
from heldout.data.sources._pairs import raw_pairs, without_empty
from heldout.data.sources._registry import source

PACKAGE = "jupyterlab-language-pack-fr-FR"
SUFFIX = ".mo"
# stands between the place where a message is shown and the message
CONTEXT_END = "\x04"
# marks the letter of a menu that a key stands for
_ACCELERATOR = re.compile(r"&(?=\w)")


@source("jupyterlab_fr")
def load(config: DataConfig) -> RawData:
    """A pair a message, of all catalogues of the package; of messages with a number the form for one.

    Raises:
        PackageMissing: the language pack is not installed.
    """
    ids, texts, translations = [], [], []
    for file in catalogues():
        for number, (text, translation) in enumerate(messages(file), start=1):
            ids.append(f"{file.stem}-{number}")
            texts.append(text)
            translations.append(translation)
    raw = raw_pairs(
        ids,
        texts,
        translations,
        license="BSD-3-Clause",
        citation=f"Project Jupyter and its translators: {PACKAGE}. Python package",
        description="Messages of JupyterLab and its extensions, from English to French: words, titles and sentences of "
        "a user interface.",
    )
    # marks alone, such as an arrow, are nothing to translate
    return without_empty(raw, PACKAGE, Unreadable.skip)


def catalogues() -> list[Path]:
    """The files of the package with translations, sorted.

    Raises:
        PackageMissing: it is not installed.
    """
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        raise PackageMissing(
            f"data.source=jupyterlab_fr ships with the package {PACKAGE}; expected the extra `translation`: "
            "pip install 'heldout[translation]'."
        ) from None
    return sorted(Path(str(file.locate())) for file in files if file.suffix == SUFFIX)


def messages(file: Path) -> Iterator[tuple[str, str]]:
    """Text and translation of each message of a gettext catalogue, in its order, without marks of keys."""
    with file.open("rb") as binary:
        # the module has no way to list the messages but this one
        catalogue: dict[str | tuple[str, int], str] = vars(gettext.GNUTranslations(binary))["_catalog"]
    for key, translation in catalogue.items():
        text, form = key if isinstance(key, tuple) else (key, 0)
        # the empty message holds facts on the file
        if text and form == 0:
            yield _plain(text.rpartition(CONTEXT_END)[2]), _plain(translation)


def _plain(text: str) -> str:
    return _ACCELERATOR.sub("", " ".join(text.split()))
