"""Blocks of attention, of a place to those of its own text and to those of another."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# keys and values of places, each [batch, heads, places, width of a head]
KeysValues = tuple[Tensor, Tensor]


class DotProduct(nn.Module):
    """What attention computes without parameters; a layer of its own, so that what it costs is counted."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Of `[batch, heads, places, width of a head]`; mask as in Attention, None where all may be looked at."""
        dropout = self.dropout if self.training else 0.0
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)


class Attention(nn.Module):
    """Scaled dot-product attention with several heads (Vaswani et al. 2017, arXiv 1706.03762, section 3.2)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.product = DotProduct(dropout)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """What each place of `x` [batch, places, width] takes from the others.

        mask: bool [batch, 1, places, places], true where the former may look at the latter.
        """
        query, key, value = self._projected(x)
        out: Tensor = self.out(self.product(query, key, value, mask).transpose(1, 2).flatten(2))
        return out

    def after(self, x: Tensor, past: KeysValues | None) -> tuple[Tensor, KeysValues]:
        """What the one place of `x` [batch, 1, width] takes from itself and all places before it, and these with it.

        past: of the places before; None where there are none.
        """
        query, key, value = self._projected(x)
        if past is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        out: Tensor = self.out(self.product(query, key, value, None).transpose(1, 2).flatten(2))
        return out, (key, value)

    def _projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = (by_head(one, self.heads) for one in self.query_key_value(x).chunk(3, dim=-1))
        return query, key, value


class CrossAttention(nn.Module):
    """Attention of the places of one text to those of another (the same, section 3.2.3)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.product = DotProduct(dropout)
        self.out = nn.Linear(width, width)

    def read(self, memory: Tensor) -> KeysValues:
        """Of the other text, `[batch, places, width]`, what is looked at."""
        key, value = (by_head(one, self.heads) for one in self.key_value(memory).chunk(2, dim=-1))
        return key, value

    def forward(self, x: Tensor, memory: KeysValues, mask: Tensor) -> Tensor:
        """What each place of `x` [batch, places, width] takes from the other text.

        mask: bool [batch, 1, 1, places of the other text], true where there is no padding.
        """
        taken = self.product(by_head(self.query(x), self.heads), *memory, mask)
        out: Tensor = self.out(taken.transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """Attention, then a dense part, each behind a normalisation (Xiong et al. 2020, arXiv 2002.04745)."""

    def __init__(self, width: int, heads: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.dense_norm = nn.LayerNorm(width)
        self.dense = _dense(width, expansion, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Of `x` [batch, places, width]; mask as in Attention."""
        x = x + self.dropout(self.attention(self.norm(x), mask))
        out: Tensor = x + self.dense(self.dense_norm(x))
        return out


class CrossBlock(nn.Module):
    """A block that also looks at another text, between the two parts."""

    def __init__(self, width: int, heads: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.cross_norm = nn.LayerNorm(width)
        self.cross = CrossAttention(width, heads, dropout)
        self.dense_norm = nn.LayerNorm(width)
        self.dense = _dense(width, expansion, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, memory: KeysValues, known: Tensor) -> Tensor:
        """Of `x` [batch, places, width]; mask as in Attention, memory and known as in CrossAttention."""
        x = x + self.dropout(self.attention(self.norm(x), mask))
        return self._rest(x, memory, known)

    def after(self, x: Tensor, past: KeysValues | None, memory: KeysValues, known: Tensor) -> tuple[Tensor, KeysValues]:
        """Of the one place `x` [batch, 1, width] behind those of `past`, which come back with it."""
        taken, past = self.attention.after(self.norm(x), past)
        return self._rest(x + self.dropout(taken), memory, known), past

    def _rest(self, x: Tensor, memory: KeysValues, known: Tensor) -> Tensor:
        x = x + self.dropout(self.cross(self.cross_norm(x), memory, known))
        out: Tensor = x + self.dense(self.dense_norm(x))
        return out


def by_head(x: Tensor, heads: int) -> Tensor:
    """`[batch, places, width]` as `[batch, heads, places, width of a head]`."""
    batch, places, width = x.shape
    return x.view(batch, places, heads, width // heads).transpose(1, 2)


def _dense(width: int, expansion: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width), nn.Dropout(dropout)
    )
