"""Implicit kernel attention on edges (Song et al. 2021): GAT's score with a learnt kernel in place of the Gaussian one.

GAT's weight is a Gaussian kernel of the weight vector a and the pair z_ij times exponentials of squared norms. Here
the logarithm of the weight is

    log(k(a, z_ij)^2 + floor) + (|a|_p^2 + |z_ij|_p^2) / 2,   k estimated from R spectral points a head,

without the LeakyReLU. An angle w . z_ij is a sum w_1 . Wh_i + w_2 . Wh_j over the two ends, so cosines and sines are
taken of nodes and not of edges, and an edge costs one inner product of 4 R numbers: O(N R D + E R), and no matrix of
all pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from reprise.models.gat.scores import EdgeScore, Parts, Scored, weight_vectors
from reprise.nn.attention.base import Draw
from reprise.nn.attention.norm import EPSILON, squared_norm
from reprise.nn.attention.spectral import Points, SpectralPoints, features
from reprise.nn.dropout import dropped
from reprise.nn.graphs.edges import Blocks
from reprise.nn.graphs.operations import end_products, end_sums

Compare = Literal["weight_and_pair", "ends"]


class ImplicitKernelScore(EdgeScore):
    """Scores by an implicit kernel and an L^p norm.

    Args:
        heads, size: see EdgeScore.
        points: makes the spectral points; called with heads and size (2 D, or D where ends are compared).
        p: of the norm, above 0.
        floor: added to the squared estimate, so that its logarithm is finite.
        norm_dropout: of the magnitudes, edge by edge, in training.
        compare: what the kernel compares: a with z_ij, as GAT's decomposition has it, or Wh_i with Wh_j, an extension,
            whose magnitude is (|Wh_i|_p^2 + |Wh_j|_p^2) / 2.

    Raises:
        ValueError: a value is out of range.
    """

    def __init__(
        self,
        heads: int,
        size: int,
        points: Callable[..., SpectralPoints],
        p: float = 2.0,
        floor: float = 1e-5,
        norm_dropout: float = 0.1,
        compare: Compare = "weight_and_pair",
    ) -> None:
        super().__init__(heads, size)
        if p <= 0 or floor <= 0:
            raise ValueError(f"p is {p} and floor {floor}. Expected numbers above 0.")
        if not 0.0 <= norm_dropout < 1.0:
            raise ValueError(f"norm_dropout is {norm_dropout}. Expected 0 or more, below 1.")
        if compare not in get_args(Compare):
            raise ValueError(f"compare is {compare!r}. Expected one of {', '.join(get_args(Compare))}.")
        self.p = p
        self.floor = floor
        self.norm_dropout = norm_dropout
        self.points = points(heads=heads, size=2 * size if compare == "weight_and_pair" else size)
        self.a = weight_vectors(heads, size) if compare == "weight_and_pair" else None

    def forward(self, h: Tensor, blocks: Blocks, draw: Draw | None = None) -> Scored:
        """Score the edges."""
        log_similarity, penalty = self._similarity(h, blocks, draw)
        magnitude = self._magnitude(h, blocks)
        if self.training and self.norm_dropout:
            magnitude = dropped(magnitude, self.norm_dropout)
        return Scored(log_similarity + magnitude, penalty)

    def decompose(self, h: Tensor, blocks: Blocks, draw: Draw | None = None) -> Parts:
        """Kernel and norms."""
        return Parts(self._similarity(h, blocks, draw)[0], self._magnitude(h, blocks))

    def _similarity(self, h: Tensor, blocks: Blocks, draw: Draw | None) -> tuple[Tensor, Tensor]:
        points = self.points(self._pooled(h, blocks), draw)
        if self.a is None:
            phi = features(h, points).flatten(0, 1)
            k = end_products(phi, phi, blocks)
        else:
            of_target, of_source = split_features(self.a, h, points)
            k = end_products(of_target.flatten(0, 1), of_source.flatten(0, 1), blocks)
        return (k.square() + self.floor).log(), points.penalty

    def _pooled(self, h: Tensor, blocks: Blocks) -> Tensor | None:
        """What data-dependent points see: means over edges of the two vectors that are compared, side by side."""
        if not self.points.pools:
            return None
        edges = len(blocks.source) // self.heads
        ends = [
            (h * starts.diff().view(self.heads, -1, 1)).sum(1) / max(1, edges)
            for starts in (blocks.starts, blocks.back_starts)
        ]
        return torch.cat(ends if self.a is None else [self.a, *ends], 1)

    def _magnitude(self, h: Tensor, blocks: Blocks) -> Tensor:
        if self.a is None:
            norms = squared_norm(h, self.p).reshape(-1)
            return end_sums(norms, norms, blocks) / 2
        powers = (h.square() if self.p == 2.0 else (h.square() + EPSILON).pow(self.p / 2)).sum(2).reshape(-1)
        of_pairs = end_sums(powers, powers, blocks)
        if self.p != 2.0:
            of_pairs = of_pairs.pow(2 / self.p)
        edges = len(blocks.source) // self.heads
        return (of_pairs.view(self.heads, edges) + squared_norm(self.a, self.p)[:, None]).reshape(-1) / 2


def split_features(a: Tensor, h: Tensor, points: Points) -> tuple[Tensor, Tensor]:
    """Features of targets and of sources whose inner product is the kernel's estimate k(a, [h_i || h_j]).

    With angles A_1, A_2 of a for the two sets of points, and P_t, Q_t of the two ends for set t, the estimate is the
    mean over r of sum_st cos(A_s - P_t - Q_t) / 4 = cos((A_1 - A_2) / 2) sum_t cos(P_t + Q_t - (A_1 + A_2) / 2) / 2,
    and the cosine of a sum is an inner product. With one set, where the kernel is stationary, it is cos(P + Q - A).

    Args:
        a: (H, 2 D).
        h: (H, N, D).
        points: (H, R, 2 D) each.

    Returns:
        (H, N, 4 R) each; (H, N, 2 R) where the kernel is stationary.
    """
    tied = points.second is points.first
    w = points.first if tied else torch.cat([points.first, points.second], 1)
    w = 2 * math.pi * w  # (H, S R, 2 D), S sets
    count, size = points.first.shape[1], h.shape[2]
    angles = torch.einsum("hrd,hd->hr", w, a)
    if tied:
        shift, height = angles, torch.full_like(angles, 1.0 / count)
    else:
        first, second = angles.split(count, 1)
        shift = ((first + second) / 2).repeat(1, 2)
        height = (((first - second) / 2).cos() / (2 * count)).repeat(1, 2)
    of_target = torch.baddbmm(shift[:, None], h, w[..., :size].transpose(1, 2), beta=-1.0)
    of_source = h @ w[..., size:].transpose(1, 2)
    heights = torch.cat([height, -height], 1)[:, None]  # cos(x + y) = cos x cos y - sin x sin y
    return _Circle.apply(of_target) * heights, _Circle.apply(of_source)


class _Circle(torch.autograd.Function):
    """Cosines and sines of angles (..., K) side by side, (..., 2 K); each is the other's derivative."""

    @staticmethod
    def forward(ctx: Any, angles: Tensor) -> Tensor:
        out = angles.new_empty(*angles.shape[:-1], 2 * angles.shape[-1])
        cos, sin = out.chunk(2, -1)
        torch.cos(angles, out=cos)
        torch.sin(angles, out=sin)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (out,) = ctx.saved_tensors
        cos, sin = out.chunk(2, -1)
        of_cos, of_sin = gradients[0].chunk(2, -1)
        return (of_sin * cos).addcmul_(of_cos, sin, value=-1.0)
