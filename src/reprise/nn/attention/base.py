"""What an attention is to the network around it.

Shapes: B examples, H heads, N queries, M keys, d numbers a query or key, d_v a value.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.nn.attention.decomposition import Decomposition

Draw = Callable[[tuple[int, ...]], Tensor]
"""Standard normal numbers of a shape. Who calls an attention decides whether they are new ones or always the same."""


class Attended(NamedTuple):
    """What attention gives.

    Attributes:
        values: (B, H, N, d_v), averages of the values.
        penalty: (), what the attention adds to the loss before it is weighed; 0 where it adds nothing.
    """

    values: Tensor
    penalty: Tensor


class Attention(nn.Module, ABC):
    """Weighs keys for queries, head by head.

    Args:
        heads: H.
        size: d, of a query and of a key.

    Raises:
        ConfigError: not positive.
    """

    def __init__(self, heads: int, size: int) -> None:
        super().__init__()
        for name, value in (("heads", heads), ("size", size)):
            if value < 1:
                raise ConfigError(f"attention has {name}={value}. Expected 1 or more.")
        self.heads, self.size = heads, size

    @abstractmethod
    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, *, allowed: Tensor | None = None, draw: Draw | None = None
    ) -> Attended:
        """Average the values with the weights of the keys.

        Args:
            q: (B, H, N, d) queries.
            k: (B, H, M, d) keys.
            v: (B, H, M, d_v) values.
            allowed: bool, broadcasts to (B, H, N, M); True where a query may attend to a key. A query that may attend
                to none gets zeros.
            draw: standard normal numbers, for an attention that is random.

        Returns:
            (B, H, N, d_v) and the penalty.
        """

    @abstractmethod
    def decompose(
        self, q: Tensor, k: Tensor, *, allowed: Tensor | None = None, draw: Draw | None = None
    ) -> Decomposition:
        """Similarity, magnitude and weights, (B, H, N, M) each."""

    def weights(self, q: Tensor, k: Tensor, *, allowed: Tensor | None = None, draw: Draw | None = None) -> Tensor:
        """Weights (B, H, N, M) of the keys, which add to 1 for each query."""
        return self.decompose(q, k, allowed=allowed, draw=draw).weights


def fixed_draw(seed: int) -> Draw:
    """Draws that are the same in each call with the same shape, so that an evaluation does not depend on when it is.

    Example:
        >>> draw = fixed_draw(0)
        >>> torch.equal(draw((2, 3)), draw((2, 3)))
        True
    """

    def draw(shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

    return draw
