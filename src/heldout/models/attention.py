"""Blocks of a decoder: attention to what came before."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class DotProduct(nn.Module):
    """What attention computes without parameters; a layer of its own, so that what it costs is counted."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """Of `[batch, heads, places, width of a head]`; mask as in Attention."""
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
        query, key, value = (self._by_head(one) for one in self.query_key_value(x).chunk(3, dim=-1))
        out: Tensor = self.out(self.product(query, key, value, mask).transpose(1, 2).flatten(2))
        return out

    def _by_head(self, x: Tensor) -> Tensor:
        batch, places, width = x.shape
        return x.view(batch, places, self.heads, width // self.heads).transpose(1, 2)


class Block(nn.Module):
    """Attention, then a dense part, each behind a normalisation (Xiong et al. 2020, arXiv 2002.04745)."""

    def __init__(self, width: int, heads: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.dense_norm = nn.LayerNorm(width)
        self.dense = nn.Sequential(
            nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width), nn.Dropout(dropout)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Of `x` [batch, places, width]; mask as in Attention."""
        x = x + self.dropout(self.attention(self.norm(x), mask))
        out: Tensor = x + self.dense(self.dense_norm(x))
        return out
