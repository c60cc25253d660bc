"""A Transformer over the points of a data set (Implicit Kernel Attention, the authors' code for regression).

Every point is a token, training and held-out ones alike; targets never enter. Attention sees the whole set, so that a
prediction depends on the inputs of all points that are given with it.

Shapes: N points, D inputs, H heads, C width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.nn.attention.base import Attention, Draw
from reprise.nn.attention.decomposition import Decomposition
from reprise.nn.attention.dot import DotProduct
from reprise.nn.attention.implicit import ImplicitKernel
from reprise.nn.attention.spectral import DirectPoints


class SelfAttention(nn.Module):
    """Linear maps to queries, keys and values, an attention, and a linear map of its heads side by side.

    Args:
        width: C, of which each head has C / H.
        heads: H.
        attention: makes the attention; called with heads and size.
    """

    def __init__(self, width: int, heads: int, attention: Callable[..., Attention]) -> None:
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        self.attention = attention(heads=heads, size=width // heads)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, draw: Draw | None) -> tuple[Tensor, Tensor]:
        """Tokens (N, C) to the same, and the penalty () of the attention."""
        values, penalty = self.attention(*self._heads(x, self.to_q, self.to_k, self.to_v), draw=draw)
        return self.out(values[0].transpose(0, 1).flatten(1)), penalty

    def decompose(self, x: Tensor, draw: Draw | None) -> Decomposition:
        """Similarity, magnitude and weights (1, H, N, N) of tokens (N, C)."""
        return self.attention.decompose(*self._heads(x, self.to_q, self.to_k), draw=draw)

    def _heads(self, x: Tensor, *maps: nn.Module) -> list[Tensor]:
        return [m(x).unflatten(-1, (self.heads, -1)).transpose(0, 1).unsqueeze(0) for m in maps]


class Layer(nn.Module):
    """x <- norm(x + attention(x)); x <- norm(x + relu(W2 relu(W1 x + b1) + b2)).

    The last rectifier, on what is added, is the authors' code's.

    Args:
        width, heads, attention: see SelfAttention.
    """

    def __init__(self, width: int, heads: int, attention: Callable[..., Attention]) -> None:
        super().__init__()
        self.attend = SelfAttention(width, heads, attention)
        self.attend_norm = nn.LayerNorm(width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, draw: Draw | None) -> tuple[Tensor, Tensor]:
        """Tokens (N, C) to the same, and the penalty ()."""
        values, penalty = self.attend(x, draw)
        x = self.attend_norm(x + values)
        return self.feed_norm(x + F.relu(self.second(F.relu(self.first(x))))), penalty


class SetTransformer(nn.Module):
    """Predicts one number for each point from the inputs of all of them.

    Args:
        inputs: D.
        attention: makes the attention of a layer; called with heads and size.
        heads: H.
        width: C.
        layers: number of them.
        as_released: hold the parameters that the authors' code declares and never uses, 2 C 64 + D, so that the number
            of parameters is that of their code. (Its two tensors have C numbers for each of 64 spectral points, also
            where the attention has none; an embedding has one number an input.)

    Raises:
        ConfigError: heads do not divide the width, or a number is not positive.
    """

    def __init__(
        self,
        inputs: int,
        attention: Callable[..., Attention],
        heads: int = 8,
        width: int = 64,
        layers: int = 1,
        as_released: bool = False,
    ) -> None:
        super().__init__()
        for name, value in {"inputs": inputs, "heads": heads, "width": width, "layers": layers}.items():
            if value < 1:
                raise ConfigError(f"model.network.{name} is {value}. Expected 1 or more.")
        if width % heads:
            raise ConfigError(f"model.network.width is {width}, heads {heads}. Expected heads to divide the width.")
        self.embed = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(Layer(width, heads, attention) for _ in range(layers))
        self.head = nn.Linear(width, 1)
        self.unused = nn.ParameterList([torch.zeros(2, width, 64), torch.zeros(inputs)] if as_released else [])

    def forward(self, x: Tensor, draw: Draw | None = None) -> tuple[Tensor, Tensor]:
        """Predict, and give what the attention adds to the loss.

        Args:
            x: (N, D), every point, in any order.
            draw: standard normal numbers, for an attention that is random.

        Returns:
            predictions (N,), and the penalty () summed over layers.
        """
        x = self.embed(x)
        penalties = []
        for layer in self.layers:
            x, penalty = layer(x, draw)
            penalties.append(penalty)
        return self.head(x).squeeze(-1), torch.stack(penalties).sum()

    def decompose(self, x: Tensor, draw: Draw | None = None) -> list[Decomposition]:
        """Similarity, magnitude and weights of each layer, (H, N, N) each, of points (N, D)."""
        x = self.embed(x)
        found = []
        for layer in self.layers:
            found.append(Decomposition(*(part[0] for part in layer.attend.decompose(x, draw))))  # type: ignore[operator, union-attr]
            x, _ = layer(x, draw)
        return found

    @property
    def deterministic(self) -> bool:
        """Whether a pass in training gives what a pass in evaluation does: nothing is drawn and nothing dropped."""
        return all(_deterministic(layer.attend.attention) for layer in self.layers)  # type: ignore[arg-type, union-attr]


def _deterministic(attention: Attention) -> bool:
    if isinstance(attention, DotProduct):
        return attention.dropout == 0.0
    if isinstance(attention, ImplicitKernel):
        return attention.norm_dropout == 0.0 and isinstance(attention.points, DirectPoints)
    return False
