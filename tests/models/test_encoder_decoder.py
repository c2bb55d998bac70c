"""A translation is written from its text and what stands before, and from nothing else; and the best one is found."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.models.examples import Example, pairs

from heldout.config.model import EncoderDecoderConfig
from heldout.config.training import SearchConfig
from heldout.data.packing import NOTHING, next_tokens
from heldout.data.pair_batches import trimmed
from heldout.data.tokens import PADDING, SEPARATOR
from heldout.models import build
from heldout.models.beam import beam_search, translated
from heldout.models.encoder_decoder import EncoderDecoder

EXAMPLE = pairs()
GREEDY = SearchConfig(beam=1)


def made(example: Example = EXAMPLE, **settings: float) -> EncoderDecoder:
    torch.manual_seed(0)
    network = build(EncoderDecoderConfig(width=16, depth=2, heads=2, **settings), example.card).eval()
    assert isinstance(network, EncoderDecoder)
    with torch.no_grad():
        # initial vectors are so small that every place gives nearly the same
        for vectors in (network.embedding, network.source_position, network.position):
            vectors.weight.mul_(25)
    return network


def trained(steps: int) -> EncoderDecoder:
    network = made(dropout=0.0)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    given = EXAMPLE.tensors()
    target = torch.from_numpy(next_tokens(EXAMPLE.inputs)).flatten()
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(given).flatten(0, 1), target, ignore_index=NOTHING)
        loss.backward()
        optimizer.step()
    return network.eval()


@pytest.fixture(scope="module")
def network() -> EncoderDecoder:
    return made()


@pytest.fixture(scope="module")
def beginner() -> EncoderDecoder:
    """Has learned enough to write different things, and not enough to be sure."""
    return trained(20)


@torch.inference_mode()
def logits(network: EncoderDecoder, **changed: torch.Tensor) -> torch.Tensor:
    """Of the longest example, the second."""
    inputs = {name: tensor[1:2] for name, tensor in EXAMPLE.tensors().items()}
    return network({**inputs, **changed})


@pytest.mark.parametrize("place", range(1, 6))
def test_a_token_of_the_translation_changes_nothing_before_it(network: EncoderDecoder, place: int) -> None:
    other = EXAMPLE.tensors()["translation"][1:2].clone()
    other[0, place] = SEPARATOR + 1 if other[0, place] != SEPARATOR + 1 else SEPARATOR + 2
    before, after = logits(network), logits(network, translation=other)
    torch.testing.assert_close(after[:, :place], before[:, :place], rtol=0, atol=1e-6)
    assert not torch.allclose(after[:, place], before[:, place], atol=1e-3)


@pytest.mark.parametrize("place", range(5))
def test_every_token_of_the_text_reaches_every_place_of_the_translation(network: EncoderDecoder, place: int) -> None:
    other = EXAMPLE.tensors()["source"][1:2].clone()
    other[0, place] = SEPARATOR + 1 if other[0, place] != SEPARATOR + 1 else SEPARATOR + 2
    differs = (logits(network, source=other) - logits(network)).abs().amax(dim=2)
    assert (differs > 1e-4).all()


@pytest.mark.parametrize("side", ["source", "translation"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_what_stands_in_padding_has_no_influence(side: str, training: bool) -> None:
    given = EXAMPLE.tensors()
    behind = torch.arange(given[side].shape[1]) >= given[f"{side}_length"].unsqueeze(1)
    assert behind.any()
    noisy = {**given, side: torch.where(behind, torch.full_like(given[side], 7), given[side])}
    quiet, loud = (made().train(training)(inputs) for inputs in (given, noisy))
    there = torch.arange(quiet.shape[1]) < given["translation_length"].unsqueeze(1) - 1
    torch.testing.assert_close(loud[there], quiet[there], rtol=0, atol=0)


@torch.inference_mode()
def test_more_padding_changes_nothing(network: EncoderDecoder) -> None:
    """A text alone, without any, against the same among longer ones."""
    given = EXAMPLE.tensors()
    among = network(given)
    for row in range(8):
        alone = trimmed({name: tensor[row : row + 1] for name, tensor in given.items()})
        assert alone["source"].shape[1] == given["source_length"][row]
        found = network(alone)
        torch.testing.assert_close(found, among[row : row + 1, : found.shape[1]], rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_token_by_token_the_logits_are_those_of_all_at_once(network: EncoderDecoder) -> None:
    given = EXAMPLE.tensors()
    expected = network(given)
    writing = network.start(given)
    for place in range(expected.shape[1]):
        found = writing.next(given["translation"][:, place].long())
        there = given["translation_length"] - 1 > place
        torch.testing.assert_close(found[there], expected[there, place], rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def greedy(network: EncoderDecoder, row: int) -> list[int]:
    """The likeliest token each time, from the logits of all that is written so far."""
    inputs = {name: torch.from_numpy(EXAMPLE.inputs[name][row : row + 1]) for name in ("source", "source_length")}
    most = min(2 * int(inputs["source_length"]) + 10, network.places)
    tokens = [SEPARATOR]
    while len(tokens) <= most:
        written = torch.tensor([[*tokens, PADDING]])
        found = network({**inputs, "translation": written, "translation_length": torch.tensor([len(tokens)])})
        best = int(found[0, len(tokens) - 1, SEPARATOR:].argmax()) + SEPARATOR
        if best == SEPARATOR:
            break
        tokens.append(best)
    return tokens[1:]


def test_a_beam_of_one_takes_the_likeliest_token_each_time(beginner: EncoderDecoder) -> None:
    found = translated(beginner, EXAMPLE.inputs, GREEDY)
    assert found == [greedy(beginner, row) for row in range(len(found))]
    assert len({tuple(tokens) for tokens in found}) > 5


def test_a_text_is_translated_the_same_alone_and_among_others(beginner: EncoderDecoder) -> None:
    search = SearchConfig(beam=3)
    together = translated(beginner, EXAMPLE.inputs, search)
    alone = [
        translated(beginner, {name: array[row : row + 1] for name, array in EXAMPLE.inputs.items()}, search)[0]
        for row in range(6)
    ]
    assert alone == together[:6]


class Planted:
    """Probabilities of tokens 3 (a), 4 (b) and of the end, given what is written; the same for every text."""

    def __init__(self, table: dict[tuple[int, ...], dict[int, float]], texts: int) -> None:
        self.table = table
        self.written: list[tuple[int, ...]] = [()] * texts
        self.begun = False

    def next(self, tokens: torch.Tensor) -> torch.Tensor:
        if self.begun:
            self.written = [(*one, int(token)) for one, token in zip(self.written, tokens, strict=True)]
        self.begun = True
        rows = torch.full((len(tokens), 5), -math.inf)
        for row, written in enumerate(self.written):
            for token, share in self.table.get(written, {SEPARATOR: 1.0}).items():
                rows[row, token] = math.log(share)
        return rows

    def take(self, rows: torch.Tensor) -> None:
        self.written = [self.written[int(row)] for row in rows]


A, B = 3, 4
# a is likelier at first, but what follows b is sure: 0.4 * 0.9 against 0.6 * 0.55
GARDEN_PATH = {(): {A: 0.6, B: 0.4}, (A,): {A: 0.55, B: 0.45}, (B,): {B: 0.9, A: 0.1}}
# one token and its end: 0.5; three and theirs: 0.4, of which each is likelier
LONG = {(): {A: 0.5, B: 0.5}, (A,): {SEPARATOR: 0.99, A: 0.01}, (B,): {B: 0.8, A: 0.2}, (B, B): {B: 1.0}}


@pytest.mark.parametrize(("beam", "expected"), [(1, [A, A]), (2, [B, B]), (4, [B, B])])
def test_a_beam_finds_what_greed_passes_by(beam: int, expected: list[int]) -> None:
    found = beam_search(Planted(GARDEN_PATH, 2), torch.tensor([9, 9]), SearchConfig(beam=beam, length_penalty=0))
    assert found == [expected, expected]


@pytest.mark.parametrize(("penalty", "expected"), [(0.0, [A]), (1.0, [B, B, B])])
def test_the_length_penalty_weighs_long_against_short(penalty: float, expected: list[int]) -> None:
    """ln(0.495) / 2 = -0.35 is below ln(0.4) / 4 = -0.23, though 0.495 is above 0.4."""
    (found,) = beam_search(Planted(LONG, 1), torch.tensor([9]), SearchConfig(beam=3, length_penalty=penalty))
    assert found == expected


def test_each_text_has_a_limit_of_its_own() -> None:
    endless = {(A,) * length: {A: 1.0} for length in range(9)}
    found = beam_search(Planted(endless, 2), torch.tensor([2, 5]), SearchConfig(beam=2))
    assert [len(tokens) for tokens in found] == [2, 5]


def test_texts_are_learned_backwards() -> None:
    """What a translation is here, and the search finds it by itself."""
    found = translated(trained(150), EXAMPLE.inputs, SearchConfig())
    lengths = EXAMPLE.inputs["source_length"] - 1
    expected = [row[:length][::-1].tolist() for row, length in zip(EXAMPLE.inputs["source"], lengths, strict=True)]
    assert np.mean([one == other for one, other in zip(found, expected, strict=True)]) > 0.9
