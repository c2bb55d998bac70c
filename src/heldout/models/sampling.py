"""Texts that a language model writes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from heldout.config.training import SamplesConfig
from heldout.data.card import Card
from heldout.data.tokens import SEPARATOR, load_tokenizer


@torch.inference_mode()
def written(network: nn.Module, card: Card, config: SamplesConfig) -> list[str]:
    """Texts that begin with the prompt, each up to the end that the model gives it or `max_tokens`.

    The same network and config give the same texts.
    """
    network.eval()
    device = next(network.parameters()).device
    tokenizer = load_tokenizer(card.tokenizer)
    prompt = [SEPARATOR, *tokenizer.encode(config.prompt).ids]
    generator = torch.Generator().manual_seed(config.seed)
    tokens = torch.tensor([prompt] * config.count, device=device).reshape(config.count, len(prompt))
    places = card.inputs["tokens"]["shape"][0] - 1
    for _ in range(config.max_tokens):
        # what lies further back than a block is forgotten
        logits = network.logits(tokens[:, -places:])[:, -1]  # type: ignore[operator]
        drawn = draw(logits.float().cpu(), config.temperature, config.top_p, generator)
        tokens = torch.cat([tokens, drawn.to(device).unsqueeze(1)], dim=1)
    return [str(tokenizer.decode(_up_to_end(row[1:]))) for row in tokens.tolist()]


def draw(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> Tensor:
    """A token for each row of logits [batch, vocabulary], int64 [batch].

    Only of the fewest whose probabilities add up to `top_p` (Holtzman et al. 2020, arXiv 1904.09751, section 3.1).
    """
    probabilities, order = torch.softmax(logits / temperature, dim=-1).sort(dim=-1, descending=True)
    before = probabilities.cumsum(dim=-1) - probabilities
    kept = probabilities.masked_fill(before >= top_p, 0.0)
    return order.gather(1, torch.multinomial(kept, 1, generator=generator)).squeeze(1)


def _up_to_end(tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(SEPARATOR)] if SEPARATOR in tokens else tokens
