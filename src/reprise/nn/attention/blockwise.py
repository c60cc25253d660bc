"""Averages of values with the weights of a squared kernel, in blocks of queries: memory is O(N), not O(N M).

With the estimate k_ij = phi(q_i)'phi(k_j), the weights are (k_ij^2 + f) exp(b_ij), normalised over
j, where b is the magnitude. Neither the logarithm nor the exponential of the softmax is ever taken. Two cases:

- b_ij = b_j, and all queries may attend to the same keys: `average`. The factors exp(b_j) go into the values, so that
  for each pair there is one square between two matrix products.
- magnitudes with dropout, or a mask of its own for each query: `average_each`. Factors are computed pair by pair, the
  mask of the dropout from a seed, so that the backward pass finds the same one again.

A block is a number of queries with all of their keys, so that its rows are normalised at once. What the backward pass
needs of it is computed again, unless one block is all there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

PAIRS = 2**22
"""Pairs of a query and a key, of all heads and examples, in a block of which nobody says the size: 16 MiB a matrix."""


def block_size(pairs: int, queries: int, block: int | None) -> int:
    """Queries of a block.

    Args:
        pairs: B H N M.
        queries: N.
        block: what was asked for; None: as many as `PAIRS` allows.
    """
    if block is not None:
        return min(block, queries)
    return max(1, min(queries, PAIRS * queries // max(1, pairs)))


def average(
    phi_q: Tensor,
    phi_k: Tensor,
    bias: Tensor,
    v: Tensor,
    *,
    floor: float,
    squared: bool = True,
    allowed: Tensor | None = None,
    block: int | None = None,
) -> Tensor:
    """Averages of values with weights (k_ij^2 + f) exp(b_j).

    Args:
        phi_q: (B, H, N, F) features of the queries.
        phi_k: (B, H, M, F) features of the keys.
        bias: (B, H, M), b.
        v: (B, H, M, d_v).
        floor: f.
        squared: k^2, else max(k, 0).
        allowed: bool, broadcasts to (B, H, M), the keys to attend to; none of them: zeros.
        block: queries a block; None: as many as the memory set aside allows.

    Returns:
        (B, H, N, d_v).
    """
    if allowed is not None:
        bias = bias.masked_fill(~allowed, torch.finfo(bias.dtype).min)
    factor = (bias - bias.amax(-1, keepdim=True).detach()).exp()
    if allowed is not None:
        factor = factor * allowed
    factor = factor.unsqueeze(-1)
    rows = block_size(phi_q[..., 0].numel() * phi_k.shape[-2], phi_q.shape[-2], block)
    sums: Tensor = _KernelSums.apply(phi_q, phi_k, torch.cat([factor * v, factor], -1), floor, squared, rows)  # type: ignore[no-untyped-call]
    total = sums[..., -1:]
    return sums[..., :-1] / total.masked_fill(total == 0, 1.0)


def average_each(
    phi_q: Tensor,
    phi_k: Tensor,
    query_bias: Tensor,
    key_bias: Tensor,
    v: Tensor,
    *,
    floor: float,
    squared: bool = True,
    allowed: Tensor | None = None,
    dropout: float = 0.0,
    seed: int = 0,
    block: int | None = None,
) -> Tensor:
    """Averages of values with weights (k_ij^2 + f) exp(m_ij (a_i + b_j)), with m of a dropout.

    Args:
        phi_q: (B, H, N, F) features of the queries.
        phi_k: (B, H, M, F) features of the keys.
        query_bias: (B, H, N), a. It acts through the dropout alone.
        key_bias: (B, H, M), b.
        v: (B, H, M, d_v).
        floor: f.
        squared: k^2, else max(k, 0).
        allowed: bool, broadcasts to (B, H, N, M).
        dropout: share of the pairs with m_ij = 0; the others have 1 / (1 - dropout).
        seed: of m; the same seed, shapes and block give the same m.
        block: queries a block; None: as many as the memory set aside allows.

    Returns:
        (B, H, N, d_v); zeros for a query that may attend to nothing.
    """
    rows = block_size(phi_q[..., 0].numel() * phi_k.shape[-2], phi_q.shape[-2], block)
    options = (floor, squared, dropout, seed, rows)
    averages: Tensor = _Averages.apply(phi_q, phi_k, query_bias, key_bias, v, allowed, options)  # type: ignore[no-untyped-call]
    return averages


def _blocks(queries: int, rows: int) -> Iterator[slice]:
    for start in range(0, queries, rows):
        yield slice(start, min(start + rows, queries))


def _similarity(estimate: Tensor, squared: bool) -> tuple[Tensor, Tensor]:
    """The similarity of an estimate, and half its derivative (of the square) or its derivative (of the cut)."""
    return (estimate.square(), estimate) if squared else (estimate.clamp(min=0.0), (estimate > 0).to(estimate))


class _KernelSums(torch.autograd.Function):
    """Y_i = sum_j (k_ij^2 + f) X_j."""

    @staticmethod
    def forward(ctx: Any, phi_q: Tensor, phi_k: Tensor, x: Tensor, floor: float, squared: bool, rows: int) -> Tensor:
        keys = phi_k.transpose(-1, -2)
        queries = phi_q.shape[-2]
        sums = phi_q.new_empty(*phi_q.shape[:-1], x.shape[-1])
        kept = None
        for part in _blocks(queries, rows):
            estimate = phi_q[..., part, :] @ keys
            if rows >= queries and any(ctx.needs_input_grad):
                kept = estimate
            sums[..., part, :] = _similarity(estimate, squared)[0] @ x
        ctx.save_for_backward(phi_q, phi_k, x, kept)
        ctx.floor, ctx.squared, ctx.rows = floor, squared, rows
        return sums.add_(x.sum(-2, keepdim=True), alpha=floor)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        phi_q, phi_k, x, kept = ctx.saved_tensors
        of_q, of_k = torch.empty_like(phi_q), torch.zeros_like(phi_k)
        of_x = (ctx.floor * grad.sum(-2, keepdim=True)).expand_as(x).clone()
        for part in _blocks(phi_q.shape[-2], ctx.rows):
            rows, upper = phi_q[..., part, :], grad[..., part, :]
            estimate = rows @ phi_k.transpose(-1, -2) if kept is None else kept
            similarity, slope = _similarity(estimate, ctx.squared)
            of_x += similarity.transpose(-1, -2) @ upper
            of_estimate = (upper * (2.0 if ctx.squared else 1.0)) @ x.transpose(-1, -2)
            of_estimate *= slope
            of_q[..., part, :] = of_estimate @ phi_k
            of_k += of_estimate.transpose(-1, -2) @ rows
        return of_q, of_k, of_x, None, None, None


class _Averages(torch.autograd.Function):
    """O_i = sum_j P_ij V_j with P_ij = (k_ij^2 + f) exp(m_ij (a_i + b_j)) / sum_j of the same."""

    @staticmethod
    def forward(
        ctx: Any,
        phi_q: Tensor,
        phi_k: Tensor,
        a: Tensor,
        b: Tensor,
        v: Tensor,
        allowed: Tensor | None,
        options: tuple[float, bool, float, int, int],
    ) -> Tensor:
        averages = phi_q.new_empty(*phi_q.shape[:-1], v.shape[-1])
        ctx.options = options
        for part in _blocks(phi_q.shape[-2], options[-1]):
            of_block = _weights(phi_q[..., part, :], phi_k, a, b, allowed, part, options)
            averages[..., part, :] = of_block[0] @ v
        single = of_block if options[-1] >= phi_q.shape[-2] and any(ctx.needs_input_grad) else ()
        ctx.save_for_backward(phi_q, phi_k, a, b, v, allowed, averages, *single)
        return averages

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        phi_q, phi_k, a, b, v, allowed, averages, *single = ctx.saved_tensors
        of_q, of_k, of_v = torch.empty_like(phi_q), torch.zeros_like(phi_k), torch.zeros_like(v)
        of_a, of_b = torch.empty_like(a), torch.zeros_like(b)
        inner = (grad * averages).sum(-1, keepdim=True)
        for part in _blocks(phi_q.shape[-2], ctx.options[-1]):
            rows, upper = phi_q[..., part, :], grad[..., part, :]
            weights, similarity, slope, kept = single or _weights(rows, phi_k, a, b, allowed, part, ctx.options)
            of_v += weights.transpose(-1, -2) @ upper
            of_logit = (upper @ v.transpose(-1, -2)).sub_(inner[..., part, :]).mul_(weights)
            of_magnitude = of_logit if kept is None else of_logit * kept
            of_a[..., part] = of_magnitude.sum(-1)
            of_b += of_magnitude.sum(-2)
            of_estimate = of_logit.mul_(slope).div_(similarity).mul_(2.0 if ctx.options[1] else 1.0)
            of_q[..., part, :] = of_estimate @ phi_k
            of_k += of_estimate.transpose(-1, -2) @ rows
        return of_q, of_k, of_a, of_b, of_v, None, None


def _weights(
    rows: Tensor,
    phi_k: Tensor,
    a: Tensor,
    b: Tensor,
    allowed: Tensor | None,
    part: slice,
    options: tuple[float, bool, float, int, int],
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Of a block: P, k^2 + f, the slope of k^2, and m where there is a dropout."""
    floor, squared, dropout, seed, _ = options
    similarity, slope = _similarity(rows @ phi_k.transpose(-1, -2), squared)
    similarity += floor
    magnitude, kept = b.unsqueeze(-2), None
    if dropout:
        magnitude = a[..., part].unsqueeze(-1) + magnitude
        kept = _kept(similarity, dropout, seed + part.start)
        magnitude *= kept
    if allowed is not None:
        allowed = allowed if allowed.dim() < 2 or allowed.shape[-2] == 1 else allowed[..., part, :]
        magnitude = magnitude.masked_fill(~allowed, torch.finfo(magnitude.dtype).min)
    weights = (magnitude - magnitude.amax(-1, keepdim=True)).exp_() * similarity
    if allowed is not None:
        weights = weights.masked_fill_(~allowed, 0.0)
    total = weights.sum(-1, keepdim=True)
    return weights.div_(total.masked_fill_(total == 0, 1.0)), similarity, slope, kept


def _kept(like: Tensor, share: float, seed: int) -> Tensor:
    """The factors m of a dropout, 0 or 1 / (1 - share), from a seed alone; 16 random bits each."""
    generator = torch.Generator(like.device).manual_seed(seed)
    draws = torch.empty((like.numel() + 3) // 4, dtype=torch.int64, device=like.device)
    bits = draws.random_(-(2**63), None, generator=generator).view(torch.int16)[: like.numel()].view(like.shape)
    least = round(share * 2**16) - 2**15
    return (bits >= least).to(like).mul_(1.0 / (1.0 - share))
