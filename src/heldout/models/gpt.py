"""Transformer decoder for language models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heldout.config.model import GPTConfig
from heldout.data.tokens import PADDING, SEPARATOR
from heldout.models.attention import Block
from heldout.models.inputs import Inputs
from heldout.models.layers import valid_steps
from heldout.models.registry import register

if TYPE_CHECKING:
    from heldout.data.card import Card

# deviation of the initial vectors of tokens and places, as in Radford et al. 2018, section 4.1
_INITIAL_DEVIATION = 0.02


class TiedOutput(nn.Module):
    """Logits by the vectors of the tokens (Press and Wolf 2017, arXiv 1608.05859), which belong to the embedding."""

    def forward(self, x: Tensor, vectors: Tensor) -> Tensor:
        """`[batch, places, tokens]` of `x` [batch, places, width] and `vectors` [tokens, width]."""
        return F.linear(x, vectors)


@register(GPTConfig)
class GPT(nn.Module):
    """Blocks of causal attention over the tokens of texts; logits of the next token `[batch, places, vocabulary]`.

    Radford et al. 2019. A place sees itself and what stands before it in the same text; of other texts in its block it
    sees nothing, and places are counted from the beginning of the text or, where that lies in an earlier block, from
    that of the block.
    """

    def __init__(self, config: GPTConfig, card: Card) -> None:
        super().__init__()
        # one token more than places: the last one is only predicted
        self.places = card.inputs["tokens"]["shape"][0] - 1
        self.embedding = nn.Embedding(card.vocabulary, config.width)
        self.position = nn.Embedding(self.places, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.expansion, config.dropout) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width)
        self.output = TiedOutput()
        with torch.no_grad():
            for vectors in (self.embedding, self.position):
                vectors.weight.normal_(0, _INITIAL_DEVIATION)

    def forward(self, inputs: Inputs) -> Tensor:
        tokens = inputs["tokens"].long()
        valid = valid_steps(inputs["length"].long(), tokens.shape[1])
        # padding may hold anything
        return self.logits(tokens.masked_fill(~valid, PADDING)[:, :-1])

    def logits(self, tokens: Tensor) -> Tensor:
        """Of the token after each of `tokens`, int64 [batch, places] with no more places than a block has."""
        text = (tokens == SEPARATOR).cumsum(dim=1)
        place = torch.arange(tokens.shape[1], device=tokens.device)
        mask = (text.unsqueeze(2) == text.unsqueeze(1)) & (place.unsqueeze(1) >= place)
        begin = torch.where(tokens == SEPARATOR, place, 0).cummax(dim=1).values
        x = self.dropout(self.embedding(tokens) + self.position(place - begin))
        for block in self.blocks:
            x = block(x, mask.unsqueeze(1))
        logits: Tensor = self.output(self.norm(x), self.embedding.weight)
        return logits
