"""MiniLM: a transformer encoder of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from heldout.config.model import MiniLMConfig
from heldout.models.attention import Attention
from heldout.models.errors import UnsuitableModel
from heldout.models.inputs import Inputs, TokenInput
from heldout.models.layers import valid_steps
from heldout.models.registry import register

if TYPE_CHECKING:
    from heldout.data.card import Card

# places that the published weights have a vector for
PLACES = 512
# of the normalisations, and deviation of the initial weights: Devlin et al. 2019, as released
EPSILON, INITIAL_DEVIATION = 1e-12, 0.02


@register(MiniLMConfig)
class MiniLM(nn.Module):
    """BERT's encoder, and the mean of what it makes of the tokens. Logits `[batch, classes]`.

    Devlin et al. 2019 (arXiv 1810.04805) and Wang et al. 2020 (arXiv 2002.10957). The mean over tokens is how the
    published weights were trained to stand for a sentence (Reimers and Gurevych 2019, arXiv 1908.10084).

    Raises UnsuitableModel when texts have more tokens than there are places.
    """

    def __init__(self, config: MiniLMConfig, card: Card) -> None:
        super().__init__()
        self.input = TokenInput(card, config.width)
        if self.input.steps > PLACES:
            raise UnsuitableModel(
                f"model=minilm with data={card.name}: its texts have up to {self.input.steps} tokens, this family has "
                f"{PLACES} places; expected data.tokens.max_tokens={PLACES} or less"
            )
        self.position = nn.Embedding(PLACES, config.width)
        self.norm = nn.LayerNorm(config.width, eps=EPSILON)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(EncoderBlock(config) for _ in range(config.depth))
        self.classifier = nn.Linear(config.width, card.outputs)
        self.apply(_begin)

    def forward(self, inputs: Inputs) -> Tensor:
        words, length = self.input(inputs)
        valid = valid_steps(length, words.shape[1])
        place = torch.arange(words.shape[1], device=words.device)
        x = self.dropout(self.norm(words + self.position(place)))
        for block in self.blocks:
            x = block(x, valid[:, None, None, :])
        mean = (x * valid.unsqueeze(2)).sum(dim=1) / length.unsqueeze(1)
        logits: Tensor = self.classifier(self.dropout(mean))
        return logits


class EncoderBlock(nn.Module):
    """Attention, then a dense part, each added to what came in and normalised afterwards."""

    def __init__(self, config: MiniLMConfig) -> None:
        super().__init__()
        hidden = config.expansion * config.width
        self.attention = Attention(config.width, config.heads, config.dropout)
        self.norm = nn.LayerNorm(config.width, eps=EPSILON)
        self.dense = nn.Sequential(nn.Linear(config.width, hidden), nn.GELU(), nn.Linear(hidden, config.width))
        self.dense_norm = nn.LayerNorm(config.width, eps=EPSILON)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Of `x` [batch, places, width]; mask: bool [batch, 1, 1, places], true where a place may be looked at."""
        x = self.norm(x + self.dropout(self.attention(x, mask)))
        out: Tensor = self.dense_norm(x + self.dropout(self.dense(x)))
        return out


def _begin(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=INITIAL_DEVIATION)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
