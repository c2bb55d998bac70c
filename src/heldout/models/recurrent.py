"""Recurrent networks: plain (Elman), GRU and LSTM."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from heldout.config.model import GRUConfig, LSTMConfig, Readout, RecurrentConfig, RNNConfig
from heldout.models.inputs import GridInput, Inputs, TokenInput
from heldout.models.layers import global_mean, mask_padding
from heldout.models.registry import register

if TYPE_CHECKING:
    from heldout.data.card import Card

_LAYERS: dict[type[RecurrentConfig], Callable[..., nn.RNNBase]] = {
    RNNConfig: nn.RNN,
    GRUConfig: nn.GRU,
    LSTMConfig: nn.LSTM,
}


@register(RNNConfig)
@register(GRUConfig)
@register(LSTMConfig)
class Recurrent(nn.Module):
    """Steps of a series, rows of an image or tokens of a text, read in order; returns logits `[batch, classes]`.

    A GRU of 6 units that reads from both ends, with readout `flatten`, is the MNIST-1D network of Greydanus and
    Kobak (2020, arXiv 2011.14439).
    """

    def __init__(self, config: RecurrentConfig, card: Card) -> None:
        super().__init__()
        self.input: GridInput | TokenInput
        if card.modality == "text":
            self.input = TokenInput(card, config.embedding)
            steps, features = self.input.steps, config.embedding
        else:
            self.input = GridInput(card)
            # the steps are the first axis of what is not a channel: the steps of a series, the rows of an image
            steps, features = self.input.sizes[0], self.input.features // self.input.sizes[0]
        self.recurrent = _LAYERS[type(config)](
            features,
            config.width,
            config.depth,
            batch_first=True,
            dropout=config.dropout if config.depth > 1 else 0.0,
            bidirectional=config.bidirectional,
        )
        if isinstance(config, LSTMConfig) and config.forget_bias:
            _set_forget_bias(self.recurrent, config.forget_bias)
        self.readout = config.readout
        self.dropout = nn.Dropout(config.dropout)
        units = config.width * (2 if config.bidirectional else 1)
        self.classifier = nn.Linear(units * steps if config.readout is Readout.flatten else units, card.outputs)

    def forward(self, inputs: Inputs) -> Tensor:
        sequence, length = self.input(inputs)
        if isinstance(self.input, GridInput):
            sequence = sequence.transpose(1, 2).flatten(2)
        states = self._states(sequence, length)
        logits: Tensor = self.classifier(self.dropout(self._read(states, length)))
        return logits

    def _states(self, sequence: Tensor, length: Tensor | None) -> Tensor:
        """States of the last layer, `[batch, steps, units]`.

        Read forwards, padding follows what counts and can stay where it is; read backwards, it would come first,
        so there the sequences are packed.
        """
        if length is None or not self.recurrent.bidirectional:
            states: Tensor = self.recurrent(sequence)[0]
            return states
        packed = pack_padded_sequence(sequence, length.cpu(), batch_first=True, enforce_sorted=False)
        packed, _ = self.recurrent(packed)
        return pad_packed_sequence(packed, batch_first=True, total_length=sequence.shape[1])[0]

    def _read(self, states: Tensor, length: Tensor | None) -> Tensor:
        if self.readout is Readout.last:
            return self._last(states, length)
        states = mask_padding(states.transpose(1, 2), length)
        if self.readout is Readout.flatten:
            return states.flatten(1)
        return global_mean(states, length)

    def _last(self, states: Tensor, length: Tensor | None) -> Tensor:
        """What each direction holds when it is through: forwards at the last valid step, backwards at the first."""
        every = torch.arange(len(states), device=states.device)
        last = states[:, -1] if length is None else states[every, length - 1]
        if not self.recurrent.bidirectional:
            return last
        width = self.recurrent.hidden_size
        return torch.cat([last[:, :width], states[:, 0, width:]], dim=1)


@torch.no_grad()
def _set_forget_bias(lstm: nn.RNNBase, value: float) -> None:
    """Gers, Schmidhuber and Cummins 2000; Jozefowicz, Zaremba and Sutskever 2015 advise 1.

    Each gate has two biases that are added, in the order input, forget, cell, output.
    """
    forget = slice(lstm.hidden_size, 2 * lstm.hidden_size)
    for name, bias in lstm.named_parameters():
        if name.startswith("bias_"):
            bias[forget] = value if name.startswith("bias_ih") else 0.0
