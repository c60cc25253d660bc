"""Spectral points and the features they make (Implicit Kernel Attention; Bochner, Yaglom).

w_r in R^d are frequencies, R of them a head. The stationary kernel has one set of them, the non-stationary one two.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from reprise.config.errors import ConfigError
from reprise.nn.attention.base import Draw


class Points(NamedTuple):
    """Spectral points of all heads.

    Attributes:
        first: (..., H, R, d), with examples before the heads where each has its own.
        second: the same shape; the very same tensor where the kernel is stationary.
        penalty: (), what they add to the loss before it is weighed.
    """

    first: Tensor
    second: Tensor
    penalty: Tensor


def features(x: Tensor, points: Points) -> Tensor:
    """Features whose inner products are the kernel's estimate, k(x, y) = phi(x)'phi(y), between -1 and 1.

    phi(x) = [cos 2 pi w1_r'x + cos 2 pi w2_r'x, sin 2 pi w1_r'x + sin 2 pi w2_r'x]_r / (2 sqrt(R)), all from one matrix
    product; with w1 = w2 it is the stationary [cos, sin] / sqrt(R).

    Args:
        x: (..., H, N, d).
        points: (..., H, R, d) of the heads.

    Returns:
        (..., H, N, 2 R).
    """
    count = points.first.shape[-2]
    if points.second is points.first:
        angles = x @ (2 * math.pi * points.first).transpose(-1, -2)
        return torch.cat(_turn(angles), -1) / math.sqrt(count)
    w = 2 * math.pi * torch.cat([points.first, points.second], -2)
    angles = x @ w.transpose(-1, -2)
    cosines, sines = (both[..., :count] + both[..., count:] for both in _turn(angles))
    return torch.cat([cosines, sines], -1) / (2 * math.sqrt(count))


def _turn(angles: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine."""
    both: tuple[Tensor, Tensor] = _Turn.apply(angles)  # type: ignore[no-untyped-call]
    return both


class _Turn(torch.autograd.Function):
    """Cosine and sine, each of which is the other's derivative: neither is computed again."""

    @staticmethod
    def forward(ctx: Any, angles: Tensor) -> tuple[Tensor, Tensor]:
        cosines, sines = angles.cos(), angles.sin()
        ctx.save_for_backward(cosines, sines)
        return cosines, sines

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_cosines: Tensor, of_sines: Tensor) -> Tensor:
        cosines, sines = ctx.saved_tensors
        return (of_sines * cosines).addcmul_(of_cosines, sines, value=-1.0)


class SpectralPoints(nn.Module, ABC):
    """Where the spectral points of an implicit kernel come from.

    Args:
        heads: H.
        size: d.
        count: R, points a head.
        tied: one set for both sides of the kernel, which makes it stationary.

    Raises:
        ConfigError: not positive.
    """

    pools = False  # whether `forward` needs the pooled queries and keys

    def __init__(self, heads: int, size: int, count: int, tied: bool) -> None:
        super().__init__()
        for name, value in (("heads", heads), ("size", size), ("count", count)):
            if value < 1:
                raise ConfigError(f"spectral points have {name}={value}. Expected 1 or more.")
        self.heads, self.size, self.count, self.tied = heads, size, count, tied

    @abstractmethod
    def forward(self, pooled: Tensor | None = None, draw: Draw | None = None) -> Points:
        """The points.

        Args:
            pooled: (B, H, 2 d) or (H, 2 d), mean query and mean key side by side; for points that depend on them.
            draw: standard normal numbers, for points that are random.

        Raises:
            ConfigError: something is missing that these points need.
        """

    def extra_repr(self) -> str:
        """Heads, sizes and whether tied."""
        return f"heads={self.heads}, size={self.size}, count={self.count}, tied={self.tied}"


class DirectPoints(SpectralPoints):
    """Spectral points that are plain parameters (IKAN-direct).

    They start uniform in +-1/sqrt(H R), as the authors' code has it: Kaiming's rule with a = sqrt(5), applied to a
    tensor (d, H, R), takes H R as the fan-in.

    Args:
        heads: H.
        size: d.
        count: R.
        tied: a stationary kernel.
        as_released: for all kinds of points to be built alike; these are the released ones already.
    """

    def __init__(self, heads: int, size: int, count: int = 64, tied: bool = False, as_released: bool = False) -> None:
        super().__init__(heads, size, count, tied)
        bound = 1 / math.sqrt(heads * count)
        self.first = nn.Parameter(torch.empty(heads, count, size).uniform_(-bound, bound))
        self.second = None if tied else nn.Parameter(torch.empty(heads, count, size).uniform_(-bound, bound))

    def forward(self, pooled: Tensor | None = None, draw: Draw | None = None) -> Points:
        """The parameters, (H, R, d) each; no penalty."""
        second = self.first if self.second is None else self.second
        return Points(self.first, second, self.first.new_zeros(()))


class GaussianPoints(SpectralPoints):
    """Spectral points of the RBF kernel, drawn anew in each call: the kernel that softmax attention has.

    exp(-|q - k|^2 / (2 sqrt(d))) has the spectral density N(0, I / (4 pi^2 sqrt(d))).

    Args:
        heads: H.
        size: d.
        count: R.
        as_released: for all kinds of points to be built alike; the authors' code has no such points.
    """

    def __init__(self, heads: int, size: int, count: int = 64, as_released: bool = False) -> None:
        super().__init__(heads, size, count, tied=True)
        self.deviation: Tensor
        self.register_buffer("deviation", torch.tensor(1 / (2 * math.pi * size**0.25)), persistent=False)

    def forward(self, pooled: Tensor | None = None, draw: Draw | None = None) -> Points:
        """Points (H, R, d) from `draw`; no penalty."""
        if draw is None:
            raise ConfigError("Gaussian spectral points are random. Pass draw=, such as fixed_draw(seed).")
        w = self.deviation * draw((self.heads, self.count, self.size)).to(self.deviation)
        return Points(w, w, w.new_zeros(()))
