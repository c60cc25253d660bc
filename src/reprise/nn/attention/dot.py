"""Softmax of the scaled dot product (Attention Is All You Need, eq. 1)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.nn.attention import decomposition
from reprise.nn.attention.base import Attended, Attention, Draw
from reprise.nn.attention.decomposition import Decomposition


class DotProduct(Attention):
    """Weights softmax(q'k / sqrt(d)).

    Args:
        heads: H.
        size: d.
        dropout: share of the weights that training drops.

    Raises:
        ConfigError: a share outside of [0, 1).
    """

    def __init__(self, heads: int, size: int, dropout: float = 0.0) -> None:
        super().__init__(heads, size)
        if not 0.0 <= dropout < 1.0:
            raise ConfigError(f"attention has dropout={dropout}. Expected a share of 0 or more, below 1.")
        self.dropout = dropout

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, *, allowed: Tensor | None = None, draw: Draw | None = None
    ) -> Attended:
        """As of `Attention`; nothing is drawn but dropout."""
        dropout = self.dropout if self.training else 0.0
        values = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed, dropout_p=dropout)
        if allowed is not None:  # a query without keys: torch's kernels differ in what they give there
            values = values.masked_fill(~allowed.any(-1, keepdim=True), 0.0)
        return Attended(values, q.new_zeros(()))

    def decompose(
        self, q: Tensor, k: Tensor, *, allowed: Tensor | None = None, draw: Draw | None = None
    ) -> Decomposition:
        """As an RBF kernel times magnitude."""
        return decomposition.dot_product(q, k, allowed)

    def extra_repr(self) -> str:
        """Size and dropout."""
        return f"heads={self.heads}, size={self.size}, dropout={self.dropout}"
