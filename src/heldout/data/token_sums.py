"""What is known of each token of a data set, and its sums over texts: how losses are weighed and compared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from heldout.data.card import Card
from heldout.data.tokens import SEPARATOR, load_tokenizer


@dataclass(frozen=True)
class TokenTable:
    """By token, float64 [vocabulary].

    size: bytes that the token writes; 0 of a special one. surprise: -ln of its share of the tokens of train, of which
    each is counted once more than it occurs: what it costs a model that knows nothing of the context, in nats.
    """

    size: np.ndarray
    surprise: np.ndarray

    @classmethod
    def of(cls, card: Card) -> TokenTable:
        """That of a data set whose texts are written token by token."""
        counts = np.array(card.statistics["tokens"]["count"])
        return cls(_sizes(card.tokenizer), -np.log((counts + 1) / (counts + 1).sum()))

    def sums(self, target: np.ndarray) -> dict[str, np.ndarray]:
        """Of each row of tokens [n, places], negative where there is none: `tokens`, `bytes` and `unigram`, [n]."""
        there = target >= 0
        return {
            "tokens": there.sum(axis=1).astype(np.float64),
            "bytes": np.where(there, self.size[target], 0.0).sum(axis=1),
            "unigram": np.where(there, self.surprise[target], 0.0).sum(axis=1),
        }


@lru_cache(maxsize=4)
def _sizes(tokenizer: str) -> np.ndarray:
    loaded = load_tokenizer(tokenizer)
    # byte-level tokens are spelled with a letter a byte
    names = [loaded.id_to_token(token) or "" for token in range(loaded.get_vocab_size())]
    return np.array([0 if token <= SEPARATOR else len(name) for token, name in enumerate(names)], dtype=np.float64)
