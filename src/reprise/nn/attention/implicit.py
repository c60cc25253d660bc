"""Attention with an implicit kernel and an L^p magnitude (Implicit Kernel Attention)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.nn.attention import blockwise
from reprise.nn.attention.base import Attended, Attention, Draw
from reprise.nn.attention.decomposition import Decomposition, of_matrix
from reprise.nn.attention.norm import squared_norm
from reprise.nn.attention.spectral import Points, SpectralPoints, features
from reprise.nn.dropout import dropped

Scale = Literal["sqrt", "as_released"]
Pool = Literal["queries_and_keys", "keys"]


class ImplicitKernel(Attention):
    """Weights softmax_j(log(k(q_i, k_j)^2 + floor) + Drop[(|q_i|_p^2 + |k_j|_p^2) / (2 s)]).

    k is the estimate by random features of a kernel with learnt spectral points. It is squared, for it can be negative.
    Without dropout the norm of the query cancels. What is drawn for the points is drawn once a call. Values are
    averaged in blocks of queries, so that memory grows with N, not with N M; matrices themselves come from `decompose`.

    Args:
        heads: H.
        size: d.
        points: makes the spectral points; called with heads and size.
        p: of the norm; above 0.
        scale: s: sqrt(d), or d^(1/4) as the authors' code has it, which takes the root twice.
        squared: the estimate; otherwise it is cut off at 0.
        floor: added to the estimate, so that its logarithm is finite.
        norm_dropout: share of the sums of norms that training drops, entry by entry.
        pool: what points that depend on the data see: the mean query and the mean key, or the mean key twice. Where
            keys are masked, the first needs queries that are at the same places as the keys, as in self-attention.
        block: queries of a block; None: as many as fit into what is set aside for it (`blockwise.PAIRS`).
        as_released: the authors' code in all, with its defects: the scale, and what the points then do.

    Raises:
        ConfigError: a value out of its range.
    """

    def __init__(
        self,
        heads: int,
        size: int,
        points: Callable[..., SpectralPoints],
        p: float = 2.0,
        scale: Scale = "sqrt",
        squared: bool = True,
        floor: float = 1e-5,
        norm_dropout: float = 0.1,
        pool: Pool = "queries_and_keys",
        block: int | None = None,
        as_released: bool = False,
    ) -> None:
        super().__init__(heads, size)
        if scale not in get_args(Scale):
            raise ConfigError(f"attention has scale={scale}. Expected one of {', '.join(get_args(Scale))}.")
        if pool not in get_args(Pool):
            raise ConfigError(f"attention has pool={pool}. Expected one of {', '.join(get_args(Pool))}.")
        for name, value in (("p", p), ("floor", floor)):
            if value <= 0:
                raise ConfigError(f"attention has {name}={value}. Expected a number above 0.")
        if not 0.0 <= norm_dropout < 1.0:
            raise ConfigError(f"attention has norm_dropout={norm_dropout}. Expected a share of 0 or more, below 1.")
        if block is not None and block < 1:
            raise ConfigError(f"attention has block={block}. Expected 1 or more, or null.")
        released = {"as_released": True} if as_released else {}
        self.points = points(heads=heads, size=size, **released)
        self.p, self.squared, self.floor, self.norm_dropout = p, squared, floor, norm_dropout
        self.pool, self.block = pool, block
        self.scale = size**0.25 if as_released or scale == "as_released" else math.sqrt(size)

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, *, allowed: Tensor | None = None, draw: Draw | None = None
    ) -> Attended:
        """As of `Attention`; the penalty is that of the spectral points."""
        with torch.autocast(q.device.type, enabled=False):  # neither angles nor a floor of 1e-5 bear half precision
            values, penalty = self._average(_full(q), _full(k), _full(v), allowed, draw)
        return Attended(values.to(v.dtype), penalty)

    def _average(self, q: Tensor, k: Tensor, v: Tensor, allowed: Tensor | None, draw: Draw | None) -> Attended:
        """In blocks, by the way that the mask and the dropout ask for."""
        points = self.spectral_points(q, k, allowed, draw)
        phi_q, phi_k, key_bias = features(q, points), features(k, points), self.magnitude(k)
        dropout = self.norm_dropout if self.training else 0.0
        if not dropout and (allowed is None or allowed.dim() < 2 or allowed.shape[-2] == 1):
            values = blockwise.average(
                phi_q,
                phi_k,
                key_bias,
                v,
                floor=self.floor,
                squared=self.squared,
                allowed=allowed if allowed is None or allowed.dim() < 2 else allowed.squeeze(-2),
                block=self.block,
            )
        else:
            values = blockwise.average_each(
                phi_q,
                phi_k,
                self.magnitude(q),
                key_bias,
                v,
                floor=self.floor,
                squared=self.squared,
                allowed=allowed,
                dropout=dropout,
                seed=int(torch.randint(2**62, ())) if dropout else 0,  # of torch's global state, as any dropout
                block=self.block,
            )
        return Attended(values, points.penalty)

    def decompose(
        self, q: Tensor, k: Tensor, *, allowed: Tensor | None = None, draw: Draw | None = None
    ) -> Decomposition:
        """As the squared kernel times the exponential of squared L^p norms."""
        with torch.autocast(q.device.type, enabled=False):
            q, k = _full(q), _full(k)
            return of_matrix(*self._factors(q, k, self.spectral_points(q, k, allowed, draw)), allowed)

    def spectral_points(self, q: Tensor, k: Tensor, allowed: Tensor | None, draw: Draw | None) -> Points:
        """The points for queries and keys: (H, R, d), or (B, H, R, d) where they depend on the data.

        Raises:
            ConfigError: the points depend on all the data, and the mask hides a part of it.
        """
        return self.points(self._pooled(q, k, allowed) if self.points.pools else None, draw)

    def _factors(self, q: Tensor, k: Tensor, points: Points) -> tuple[Tensor, Tensor]:
        """Logarithms of similarity and magnitude, (B, H, N, M) each; of the latter a share is dropped in training."""
        estimate = features(q, points) @ features(k, points).transpose(-1, -2)
        similarity = estimate.square() if self.squared else estimate.clamp(min=0.0)
        magnitude = self.magnitude(q).unsqueeze(-1) + self.magnitude(k).unsqueeze(-2)
        if self.training and self.norm_dropout:
            magnitude = dropped(magnitude, self.norm_dropout)
        return (similarity + self.floor).log(), magnitude

    def magnitude(self, x: Tensor) -> Tensor:
        """|x|_p^2 / (2 s) of queries or keys (..., d)."""
        return squared_norm(x, self.p) / (2 * self.scale)

    def _pooled(self, q: Tensor, k: Tensor, allowed: Tensor | None) -> Tensor:
        """Mean query and mean key side by side, (B, H, 2 d)."""
        if allowed is None:
            queries, keys = q.mean(-2), k.mean(-2)
        else:
            if allowed.dim() > 1 and allowed.shape[-2] > 1:
                raise ConfigError(
                    "generated spectral points see the mean of all queries and keys, so that each query would see what "
                    "a mask of its own hides. Use points that do not depend on the data, such as DirectPoints."
                )
            if self.pool == "queries_and_keys" and q.shape[-2] != k.shape[-2]:
                raise ConfigError(
                    f"a mask of {k.shape[-2]} keys does not say which of {q.shape[-2]} queries to leave out of the "
                    "mean. Set pool=keys."
                )
            there = allowed.expand(*k.shape[:-2], 1, k.shape[-2]).transpose(-1, -2).to(k)
            total = there.sum(-2).clamp(min=1.0)
            keys = (k * there).sum(-2) / total
            queries = keys if self.pool == "keys" else (q * there).sum(-2) / total
        return torch.cat([keys if self.pool == "keys" else queries, keys], -1)

    def extra_repr(self) -> str:
        """The settings that shape the weights."""
        return f"p={self.p}, scale={self.scale:.4g}, squared={self.squared}, norm_dropout={self.norm_dropout}"


def _full(x: Tensor) -> Tensor:
    """In single precision what is in less."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
