"""Translations that a network writes: the likeliest that a beam search finds."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from heldout.config.training import SearchConfig
from heldout.data.pair_batches import trimmed
from heldout.data.tokens import SEPARATOR

# of a translation, over those of its text: a longer one has lost its way
MOST_TIMES, MOST_MORE = 2, 10
# translations that are followed side by side in one batch
ROWS = 512


class Growing(Protocol):
    """Texts that grow by a token at a time, one a row; see heldout.models.encoder_decoder.Writing."""

    def next(self, tokens: Tensor) -> Tensor:
        """Logits [rows, vocabulary] of what follows the last tokens, int64 [rows]."""

    def take(self, rows: Tensor) -> None:
        """Goes on with these rows, in this order; one may be taken more than once."""


@torch.inference_mode()
def translated(network: nn.Module, inputs: dict[str, np.ndarray], search: SearchConfig) -> list[list[int]]:
    """The tokens of a translation of each text, without separators; inputs as in heldout.data.pairs, on the CPU.

    In evaluation mode, in which the network is left.
    """
    network.eval()
    writer: Any = network
    device = next(network.parameters()).device
    length = inputs["source_length"]
    # texts that are about equally long are read together
    order = np.argsort(length, kind="stable")
    size = max(1, ROWS // search.beam)
    found: list[list[int]] = [[] for _ in range(len(length))]
    for rows in (order[start : start + size] for start in range(0, len(order), size)):
        given = {name: torch.from_numpy(inputs[name][rows]) for name in ("source", "source_length")}
        batch = {name: tensor.to(device) for name, tensor in trimmed(given).items()}
        most = (MOST_TIMES * batch["source_length"].long() + MOST_MORE).clamp(max=writer.places)
        for row, tokens in zip(rows, beam_search(writer.start(batch), most, search), strict=True):
            found[row] = tokens
    return found


def beam_search(texts: Growing, most: Tensor, search: SearchConfig) -> list[list[int]]:
    """Of each text the continuation with the highest log-probability over its length, as far as a beam sees.

    A continuation begins behind a separator and ends with one, neither of which is in what comes back. Followed are the
    `search.beam` best of each text, ended ones among them, which stay as they are; log-probabilities are divided by
    the length, end included, to the power of `search.length_penalty` (Wu et al. 2016, arXiv 1609.08144, section 7, with
    the plain length). One that has not ended after `most` tokens is taken as it is. A beam of 1 is greedy.

    Args:
        most: tokens of a continuation, int64 [texts].
    """
    beam, count, device = search.beam, len(most), most.device
    # [texts, beam]; of the equal beginnings but one counts
    score = torch.full((count, beam), -torch.inf, device=device)
    score[:, 0] = 0
    ended = torch.zeros(count, beam, dtype=torch.bool, device=device)
    length = torch.ones(count, beam, device=device)
    tokens = torch.full((count, beam, 1), SEPARATOR, device=device)
    first = torch.arange(count, device=device).unsqueeze(1) * beam
    texts.take(torch.arange(count, device=device).repeat_interleave(beam))
    for step in range(1, int(most.max()) + 1):
        logits = texts.next(tokens[:, :, -1].flatten()).float()
        # of the special tokens only the end is written
        logits[:, :SEPARATOR] = -torch.inf
        gains = torch.log_softmax(logits, dim=-1).view(count, beam, -1)
        # what has ended goes on with separators, for nothing
        gains = gains.masked_fill(ended.unsqueeze(2), -torch.inf)
        gains[:, :, SEPARATOR] = torch.where(ended, 0.0, gains[:, :, SEPARATOR])
        totals = score.unsqueeze(2) + gains
        grown = torch.where(ended, length, step)
        merit = totals / grown.unsqueeze(2) ** search.length_penalty
        best = merit.flatten(1).topk(beam, dim=1).indices
        parent, token = best // gains.shape[2], best % gains.shape[2]
        score = totals.flatten(1).gather(1, best)
        length = grown.gather(1, parent)
        ended = ended.gather(1, parent) | (token == SEPARATOR) | (step >= most).unsqueeze(1)
        tokens = torch.cat([tokens.gather(1, parent.unsqueeze(2).expand_as(tokens)), token.unsqueeze(2)], dim=2)
        if bool(ended.all()):
            break
        texts.take((first + parent).flatten())
    chosen = (score / length**search.length_penalty).argmax(dim=1)
    return [_up_to_end(row) for row in tokens[torch.arange(count, device=device), chosen, 1:].tolist()]


def _up_to_end(tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(SEPARATOR)] if SEPARATOR in tokens else tokens
