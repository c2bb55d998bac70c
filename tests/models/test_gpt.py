"""A language model sees the past of its own text, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.models.examples import continued

from heldout.config.model import GPTConfig
from heldout.data.tokens import SEPARATOR
from heldout.models import build
from heldout.models.baselines.ngram import NGram
from heldout.models.gpt import GPT
from heldout.models.sampling import draw


@pytest.fixture
def network() -> GPT:
    torch.manual_seed(0)
    made = build(GPTConfig(width=16, depth=2, heads=2), continued().card).eval()
    assert isinstance(made, GPT)
    return made


def block() -> torch.Tensor:
    return torch.tensor([[SEPARATOR, 5, 6, 7, SEPARATOR, 8, 9, 10, 11]])


@pytest.mark.parametrize("place", range(1, 9))
def test_a_token_changes_nothing_before_it(network: GPT, place: int) -> None:
    other = block()
    other[0, place] = 3 if other[0, place] != 3 else 4
    before, after = network.logits(block()), network.logits(other)
    torch.testing.assert_close(after[:, :place], before[:, :place], rtol=0, atol=1e-6)
    assert not torch.allclose(after[:, place], before[:, place])


@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_token_changes_nothing_in_the_next_text(network: GPT, place: int) -> None:
    other = block()
    other[0, place] = 4
    torch.testing.assert_close(network.logits(other)[:, 4:], network.logits(block())[:, 4:], rtol=0, atol=1e-6)


def test_a_text_is_read_the_same_alone_and_behind_another(network: GPT) -> None:
    torch.testing.assert_close(network.logits(block()[:, 4:]), network.logits(block())[:, 4:], rtol=1e-5, atol=1e-6)


def test_only_the_likeliest_tokens_are_drawn() -> None:
    """Of 0.5, 0.3, 0.2 the first two reach 0.6 (seed 0)."""
    logits = torch.log(torch.tensor([[0.2, 0.5, 0.3]])).expand(4000, 3)
    drawn = draw(logits, 1.0, 0.6, torch.Generator().manual_seed(0))
    shares = np.bincount(drawn.numpy(), minlength=3) / 4000
    assert shares == pytest.approx([0, 0.625, 0.375], abs=0.03)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_of_n_grams_add_up_to_one(order: int) -> None:
    """Whatever the context, known or not (seed 0)."""
    rng = np.random.default_rng(0)
    texts = np.where(rng.random((40, 10)) < 0.15, SEPARATOR, rng.integers(3, 8, (40, 10)))
    model = NGram(order, vocabulary=9).fit(texts)
    for context in (texts[0, :6], np.array([SEPARATOR, 8, 8, 3, 4, 5])):
        rows = np.stack([[*context, token] for token in range(9)])
        assert model.probabilities(rows)[:, -1].sum() == pytest.approx(1)


def test_bigrams_are_those_of_kneser_and_ney_by_hand() -> None:
    """Of ab, ab and ac: a has two kinds after it, b and c stand behind one token each."""
    a, b, c = 3, 4, 5
    texts = np.array([[SEPARATOR, a, b, -1], [SEPARATOR, a, b, -1], [SEPARATOR, a, c, -1]])
    model = NGram(2, vocabulary=6).fit(texts)
    # bigrams Sa 3, ab 2, ac 1: D2 = 1 / 3; unigrams a 1, b 1, c 1 by what stands before them: D1 = 1
    assert model.discounts_ == pytest.approx([1, 1 / 3])
    lower = 1 / 6
    assert model.probabilities(np.array([[a, b]]))[0, 0] == pytest.approx((2 - 1 / 3) / 3 + 2 / 9 * lower)
