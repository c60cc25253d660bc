"""Decoder layers that attend to what was decoded and to an encoded text, at once or step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.nn.attention.base import Attended, Draw
from reprise.nn.attention.implicit import ImplicitKernel
from reprise.nn.transformer.layers import AttentionMaker, FeedForward, Heads, MultiHead, Norm, Residual


class DecoderLayer(nn.Module):
    """Self-attention, attention to the encoded text, and a feed-forward net.

    Args:
        width: D.
        hidden: of the feed-forward net.
        heads: H.
        attention: makes the self-attention.
        cross_attention: makes the attention to the encoded text.
        dropout: of what all give, and within the feed-forward net.
        norm: pre or post.

    Raises:
        ConfigError: an attention whose spectral points would see later places.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        heads: int,
        attention: AttentionMaker,
        cross_attention: AttentionMaker,
        dropout: float,
        norm: Norm,
    ) -> None:
        super().__init__()
        self.attention = MultiHead(width, heads, attention)
        self.cross_attention = MultiHead(width, heads, cross_attention)
        self.feedforward = FeedForward(width, hidden, dropout)
        self.around_attention, self.around_cross, self.around_feedforward = (
            Residual(width, norm, dropout) for _ in range(3)
        )
        _refuse_pooling(self.attention, self.cross_attention)

    def forward(
        self,
        x: Tensor,
        own: Heads | None,
        memory: Heads,
        own_allowed: Tensor | None,
        allowed: Tensor,
        draw: Draw | None,
    ) -> tuple[Attended, Heads]:
        """Decode places (B, N, D).

        Args:
            x: their vectors.
            own: keys and values of the places before; None where there are none.
            memory: keys and values of the encoded text.
            own_allowed: which places each may see; None for all that are there.
            allowed: which places of the encoded text are there, (B, 1, 1, M).
            draw: as of `Attention`.

        Returns:
            (B, N, D) with the penalties; keys and values of all places up to now.
        """
        # 1. self-attention
        y = self.around_attention.before(x)
        new = self.attention.keys_values(y)
        if own is not None:
            new = Heads(torch.cat([own.keys, new.keys], 2), torch.cat([own.values, new.values], 2))
        found = self.attention(y, new, own_allowed, draw)
        x, penalty = self.around_attention.after(x, found.values), found.penalty
        # 2. attention to the encoded text
        found = self.cross_attention(self.around_cross.before(x), memory, allowed, draw)
        x, penalty = self.around_cross.after(x, found.values), penalty + found.penalty
        # 3. feed-forward
        x = self.around_feedforward.after(x, self.feedforward(self.around_feedforward.before(x)))
        return Attended(x, penalty), new


def _refuse_pooling(own: MultiHead, cross: MultiHead) -> None:
    """Points that depend on a mean over places would show a place what comes after it."""
    for word, attention in (("self", own.attention), ("cross", cross.attention)):
        if not isinstance(attention, ImplicitKernel) or not attention.points.pools:
            continue
        if word == "self":
            raise ConfigError(
                "the decoder's self-attention has spectral points that depend on the mean over all places, later ones "
                "too. Use points that do not depend on the data, such as DirectPoints."
            )
        if attention.pool != "keys":
            raise ConfigError(
                "the decoder's cross-attention has spectral points that depend on the mean query, so on later places. "
                "Set pool=keys, the mean over the encoded text, or use DirectPoints."
            )


@dataclass(frozen=True)
class DecoderState:
    """Where a step-by-step decoding stands; rows are hypotheses.

    Attributes:
        memory: keys and values of the encoded text, of each layer.
        allowed: which places of it are there, (B, 1, 1, M).
        own: keys and values of the places decoded, of each layer; empty before the first.
        place: how many were decoded.
    """

    memory: tuple[Heads, ...]
    allowed: Tensor
    own: tuple[Heads, ...] = ()
    place: int = 0

    def rows(self, index: Tensor) -> DecoderState:
        """Hypotheses (B',) by their rows, which may occur often or not at all."""

        def of(heads: tuple[Heads, ...]) -> tuple[Heads, ...]:
            return tuple(Heads(h.keys[index], h.values[index]) for h in heads)

        return replace(self, memory=of(self.memory), allowed=self.allowed[index], own=of(self.own))

    def continued(self, index: Tensor) -> DecoderState:
        """The same where a row only follows a row of the same text, whose encoded text it keeps."""
        own = tuple(Heads(h.keys[index], h.values[index]) for h in self.own)
        return replace(self, own=own)
