"""Transformer that reads a text and writes its translation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from heldout.config.model import EncoderDecoderConfig
from heldout.data.tokens import PADDING
from heldout.models.attention import Block, CrossBlock, KeysValues
from heldout.models.gpt import TiedOutput
from heldout.models.inputs import Inputs
from heldout.models.layers import valid_steps
from heldout.models.registry import register

if TYPE_CHECKING:
    from heldout.data.card import Card

# deviation of the initial vectors of tokens and places, as in Radford et al. 2018, section 4.1
_INITIAL_DEVIATION = 0.02


@register(EncoderDecoderConfig)
class EncoderDecoder(nn.Module):
    """Logits of the next token of a translation `[batch, places, vocabulary]`, given its text and what stands before.

    Vaswani et al. 2017 (arXiv 1706.03762), with normalisation first (Xiong et al. 2020, arXiv 2002.04745), learned
    places, and one set of vectors for both languages and for the outputs (Press and Wolf 2017, arXiv 1608.05859). Texts
    and translations may be given with less padding than the card states.
    """

    def __init__(self, config: EncoderDecoderConfig, card: Card) -> None:
        super().__init__()
        # the last token of a translation is only predicted
        self.places = card.inputs["translation"]["shape"][0] - 1
        self.embedding = nn.Embedding(card.vocabulary, config.width)
        self.source_position = nn.Embedding(card.inputs["source"]["shape"][0], config.width)
        self.position = nn.Embedding(self.places, config.width)
        self.dropout = nn.Dropout(config.dropout)
        settings = (config.width, config.heads, config.expansion, config.dropout)
        self.encoder = nn.ModuleList(Block(*settings) for _ in range(config.depth))
        self.encoder_norm = nn.LayerNorm(config.width)
        self.decoder = nn.ModuleList(CrossBlock(*settings) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.output = TiedOutput()
        with torch.no_grad():
            for vectors in (self.embedding, self.source_position, self.position):
                vectors.weight.normal_(0, _INITIAL_DEVIATION)

    def forward(self, inputs: Inputs) -> Tensor:
        memory, known = self.encoded(inputs)
        tokens = inputs["translation"].long()
        valid = valid_steps(inputs["translation_length"].long(), tokens.shape[1])
        # padding may hold anything
        read = tokens.masked_fill(~valid, PADDING)[:, :-1]
        place = torch.arange(read.shape[1], device=read.device)
        mask = place.unsqueeze(1) >= place
        x = self.dropout(self.embedding(read) + self.position(place))
        for block in self.decoder:
            assert isinstance(block, CrossBlock)
            x = block(x, mask, block.cross.read(memory), known)
        logits: Tensor = self.output(self.norm(x), self.embedding.weight)
        return logits

    def encoded(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """The texts as `[batch, places, width]`, and which places are no padding, bool [batch, 1, 1, places]."""
        tokens = inputs["source"].long()
        valid = valid_steps(inputs["source_length"].long(), tokens.shape[1])
        place = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.dropout(self.embedding(tokens.masked_fill(~valid, PADDING)) + self.source_position(place))
        known = valid.view(len(tokens), 1, 1, -1)
        for block in self.encoder:
            x = block(x, known)
        return self.encoder_norm(x), known

    def start(self, inputs: Inputs) -> Writing:
        """Translations of these texts, of which nothing is written yet."""
        memory, known = self.encoded(inputs)
        blocks = [block for block in self.decoder if isinstance(block, CrossBlock)]
        return Writing(self, [block.cross.read(memory) for block in blocks], known)


class Writing:
    """Translations that grow by a token at a time; what was computed of the tokens before is kept."""

    def __init__(self, network: EncoderDecoder, memory: list[KeysValues], known: Tensor) -> None:
        self._network = network
        self._memory = memory
        self._known = known
        self._past: list[KeysValues | None] = [None] * len(memory)
        self._place = 0

    def next(self, tokens: Tensor) -> Tensor:
        """Logits [rows, vocabulary] of what follows `tokens` int64 [rows], the last ones of the translations."""
        network = self._network
        place = torch.full((1,), self._place, device=tokens.device)
        x = network.dropout(network.embedding(tokens.unsqueeze(1)) + network.position(place))
        for index, block in enumerate(network.decoder):
            assert isinstance(block, CrossBlock)
            x, self._past[index] = block.after(x, self._past[index], self._memory[index], self._known)
        self._place += 1
        logits: Tensor = network.output(network.norm(x), network.embedding.weight)
        return logits.squeeze(1)

    def take(self, rows: Tensor) -> None:
        """Goes on with the translations at these rows, int64, in this order; a row may be taken more than once."""
        self._known = self._known[rows]
        self._memory = [(key[rows], value[rows]) for key, value in self._memory]
        self._past = [None if past is None else (past[0][rows], past[1][rows]) for past in self._past]
