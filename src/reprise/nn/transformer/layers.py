"""Encoder and decoder layers (Attention Is All You Need, section 3), with any attention of `reprise.nn.attention`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.nn.attention.base import Attended, Attention, Draw
from reprise.nn.attention.decomposition import Decomposition
from reprise.nn.dropout import Dropout

AttentionMaker = Callable[..., Attention]
"""Makes an attention of heads= and size=."""

Norm = Literal["pre", "post"]


class Heads(NamedTuple):
    """Keys and values of all heads, (B, H, M, d) each."""

    keys: Tensor
    values: Tensor


class MultiHead(nn.Module):
    """Projections to heads, attention, and the projection back.

    Args:
        width: D.
        heads: H, which divides D.
        attention: makes the attention.

    Raises:
        ConfigError: the heads do not divide the width.
    """

    def __init__(self, width: int, heads: int, attention: AttentionMaker) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ConfigError(f"{heads} heads do not divide a width of {width}. Expected a divisor of the width.")
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.attention = attention(heads=heads, size=width // heads)

    def split(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, H, N, d)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, memory: Tensor) -> Heads:
        """Keys and values of what is attended to, (B, M, D)."""
        return Heads(self.split(self.key(memory)), self.split(self.value(memory)))

    def forward(self, x: Tensor, seen: Heads, allowed: Tensor | None, draw: Draw | None) -> Attended:
        """Attend from x (B, N, D) to keys and values; values of the result are (B, N, D)."""
        found = self.attention(self.split(self.query(x)), seen.keys, seen.values, allowed=allowed, draw=draw)
        return Attended(self.out(found.values.transpose(1, 2).flatten(2)), found.penalty)


class FeedForward(nn.Sequential):
    """Two linear maps with a rectifier between, place by place.

    Args:
        width: D.
        hidden: width between.
        dropout: after the rectifier.
    """

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__(nn.Linear(width, hidden), nn.ReLU(), Dropout(dropout), nn.Linear(hidden, width))


class Residual(nn.Module):
    """x + sublayer(x), normalised before the sublayer or after the sum.

    Args:
        width: D.
        norm: pre or post.
        dropout: of what the sublayer gives.

    Raises:
        ConfigError: another word for `norm`.
    """

    def __init__(self, width: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        if norm not in get_args(Norm):
            raise ConfigError(f"the network has norm={norm}. Expected one of {', '.join(get_args(Norm))}.")
        self.pre = norm == "pre"
        self.norm = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)

    def before(self, x: Tensor) -> Tensor:
        """What the sublayer is given."""
        return self.norm(x) if self.pre else x

    def after(self, x: Tensor, found: Tensor) -> Tensor:
        """The sum with what the sublayer gave."""
        total = x + self.dropout(found)
        return total if self.pre else self.norm(total)


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward net.

    Args:
        width: D.
        hidden: of the feed-forward net.
        heads: H.
        attention: makes the attention.
        dropout: of what both give, and within the feed-forward net.
        norm: pre or post.
    """

    def __init__(
        self, width: int, hidden: int, heads: int, attention: AttentionMaker, dropout: float, norm: Norm
    ) -> None:
        super().__init__()
        self.attention = MultiHead(width, heads, attention)
        self.feedforward = FeedForward(width, hidden, dropout)
        self.around_attention, self.around_feedforward = (Residual(width, norm, dropout) for _ in range(2))

    def forward(self, x: Tensor, allowed: Tensor | None, draw: Draw | None) -> Attended:
        """(B, L, D) to the same, with the penalty of its attention; `allowed` as of `Attention`."""
        y = self.around_attention.before(x)
        found = self.attention(y, self.attention.keys_values(y), allowed, draw)
        x = self.around_attention.after(x, found.values)
        x = self.around_feedforward.after(x, self.feedforward(self.around_feedforward.before(x)))
        return Attended(x, found.penalty)

    def decompose(self, x: Tensor, allowed: Tensor | None, draw: Draw | None) -> Decomposition:
        """Similarity, magnitude and weights of its attention, to look at."""
        heads, y = self.attention, self.around_attention.before(x)
        q, k = heads.split(heads.query(y)), heads.split(heads.key(y))
        return heads.attention.decompose(q, k, allowed=allowed, draw=draw)


class Encoder(nn.Module):
    """Encoder layers, and a last normalisation where each layer normalises before.

    Args:
        layers: how many.
        width, hidden, heads, attention, dropout, norm: see EncoderLayer.

    Raises:
        ConfigError: no layer.
    """

    def __init__(
        self,
        layers: int,
        width: int,
        hidden: int,
        heads: int,
        attention: AttentionMaker,
        dropout: float = 0.1,
        norm: Norm = "post",
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ConfigError(f"the network has layers={layers}. Expected 1 or more.")
        self.layers = nn.ModuleList(EncoderLayer(width, hidden, heads, attention, dropout, norm) for _ in range(layers))
        self.norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()

    def forward(self, x: Tensor, allowed: Tensor | None = None, draw: Draw | None = None) -> Attended:
        """(B, L, D) to the same, with the sum of the layers' penalties."""
        penalty = x.new_zeros(())
        for layer in self.layers:
            found = layer(x, allowed, draw)
            x, penalty = found.values, penalty + found.penalty
        return Attended(self.norm(x), penalty)

    def decompose(self, x: Tensor, allowed: Tensor | None, draw: Draw | None) -> list[Decomposition]:
        """Similarity, magnitude and weights (B, H, L, L) of each layer's attention."""
        found = []
        for layer in self.layers:
            found.append(layer.decompose(x, allowed, draw))  # type: ignore[operator, union-attr]
            x = layer(x, allowed, draw).values
        return found
