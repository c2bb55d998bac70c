"""Blocks of a decoder: attention to what came before, and to another text where there is one."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Scaled dot-product attention with several heads (Vaswani et al. 2017, arXiv 1706.03762, section 3.2)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, seen: Tensor, mask: Tensor) -> Tensor:
        """What each place of `x` [batch, places, width] takes from those of `seen` [batch, others, width].

        mask: bool [batch, 1, places, others], true where it may look.
        """
        key, value = self.key_value(seen).chunk(2, dim=-1)
        dropout = self.dropout if self.training else 0.0
        query, key, value = (self._by_head(one) for one in (self.query(x), key, value))
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        out: Tensor = self.out(found.transpose(1, 2).flatten(2))
        return out

    def _by_head(self, x: Tensor) -> Tensor:
        batch, places, width = x.shape
        return x.view(batch, places, self.heads, width // self.heads).transpose(1, 2)


class Block(nn.Module):
    """Attention to the text itself, then to another one if `cross`, then a dense part; normalised first.

    Xiong et al. 2020 (arXiv 2002.04745).
    """

    def __init__(self, width: int, heads: int, expansion: int, dropout: float, cross: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.cross_norm = nn.LayerNorm(width) if cross else None
        self.cross = Attention(width, heads, dropout) if cross else None
        self.dense_norm = nn.LayerNorm(width)
        self.dense = nn.Sequential(
            nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width), nn.Dropout(dropout)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, other: Tensor | None = None, other_mask: Tensor | None = None) -> Tensor:
        """`x` and `other` [batch, places, width]; masks as in Attention."""
        own = self.norm(x)
        x = x + self.dropout(self.attention(own, own, mask))
        if self.cross is not None and self.cross_norm is not None:
            x = x + self.dropout(self.cross(self.cross_norm(x), other, other_mask))
        out: Tensor = x + self.dense(self.dense_norm(x))
        return out
