"""Measures of attention that need no training: identities, limits, and how heads are coupled."""

from __future__ import annotations

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.nn.attention.base import Draw
from reprise.nn.attention.copula import correlation
from reprise.nn.attention.decomposition import Decomposition, dot_product, graph_attention
from reprise.nn.attention.dot import DotProduct
from reprise.nn.attention.generated import GeneratedPoints
from reprise.nn.attention.implicit import ImplicitKernel
from reprise.nn.attention.spectral import GaussianPoints


def probe(weights: Tensor, numbers: Tensor) -> float:
    """Mean over queries and heads of sum_j r_ij weight_ij, with numbers r between 0 and 1.

    All weights take part, each with a factor of its own, so that a single one that is wrong, or two that are exchanged,
    move it.

    Args:
        weights: (..., M) that add to 1 along the last axis.
        numbers: r, the same shape.
    """
    return float((weights.double() * numbers.double()).sum(-1).mean())


def softmax_forms(q: Tensor, k: Tensor, numbers: Tensor) -> dict[str, float]:
    """The Transformer's weights as torch computes them, and as a kernel times magnitude.

    Args:
        q: (B, H, N, d).
        k: (B, H, M, d).
        numbers: (B, H, N, M) of the probe.
    """
    each = torch.eye(k.shape[-2], dtype=k.dtype, device=k.device).expand(*k.shape[:2], -1, -1)
    weights = DotProduct(q.shape[1], q.shape[-1]).eval()(q, k, each).values
    return {"dot": probe(weights, numbers), "dot_kernel": probe(dot_product(q, k).weights, numbers)}


def gat_forms(wh: Tensor, a: Tensor, linked: Tensor, numbers: Tensor) -> dict[str, float]:
    """GAT's weights as its authors compute them, a1'Wh_i + a2'Wh_j, and as a kernel times magnitude.

    Args:
        wh: (N, H, d) Wh of each node.
        a: (H, 2 d).
        linked: (N, N) of bool, True where node j is a neighbour of node i; each node has one.
        numbers: (H, N, N) of the probe.
    """
    size = wh.shape[-1]
    of_target, of_source = (torch.einsum("nhd,hd->hn", wh, part) for part in (a[:, :size], a[:, size:]))
    scores = F.leaky_relu(of_target.unsqueeze(-1) + of_source.unsqueeze(-2), 0.2)
    weights = scores.masked_fill(~linked, -math.inf).softmax(-1)
    targets, sources = linked.nonzero(as_tuple=True)
    found = graph_attention(a, torch.cat([wh[targets], wh[sources]], -1), targets, len(wh))
    dense = torch.zeros_like(weights)
    dense[:, targets, sources] = found.weights.T
    return {"gat": probe(weights, numbers), "gat_kernel": probe(dense, numbers)}


def largest_weight_error(q: Tensor, k: Tensor, count: int, draw: Draw) -> float:
    """Largest error of a weight by `count` Gaussian spectral points, p = 2, no square, against softmax attention.

    Args:
        q: (B, H, N, d).
        k: (B, H, M, d).
        count: R.
        draw: of the spectral points.
    """
    points = partial(GaussianPoints, count=count)
    attention = ImplicitKernel(1, q.shape[-1], points=points, squared=False, floor=1e-9).eval().to(q.device)
    errors = []
    for of_q, of_k in zip(q.split(1, 1), k.split(1, 1), strict=True):  # head by head: features of many points are large
        estimate = attention.weights(of_q, of_k, draw=draw)
        errors.append(float((estimate - dot_product(of_q, of_k).weights).abs().max()))
    return max(errors)


def entropy(weights: Tensor) -> float:
    """Entropy of the weights of a query, nats, mean over queries and heads.

    Args:
        weights: (..., M).
    """
    return float(torch.special.entr(weights.double()).sum(-1).mean())


def head_correlation(points: GeneratedPoints, pooled: Tensor, draw: Draw) -> float:
    """Correlation between heads of the generator's noise, with the sign that the copula's factor gives it.

    The mean over features and pairs of heads. Without coupling it is 0 on average, whatever the factor.

    Args:
        points: with a copula.
        pooled: (H, 2 d).
        draw: of the noise.

    Raises:
        ConfigError: the points have no copula.
    """
    _, _, factors = points.moments(pooled)
    if factors is None:
        raise ConfigError("the correlation of heads is measured of points with a copula. Set points.copula=true.")
    noise = points.coupled(factors, draw((points.heads, points.count, points.size)).to(pooled))  # (H, R, d)
    drawn = torch.stack([torch.corrcoef(noise[..., f]) for f in range(points.size)])
    pairs = torch.ones(points.heads, points.heads, dtype=torch.bool, device=drawn.device).tril(-1)
    return float((drawn * correlation(factors).sign())[:, pairs].mean())


def of_example(found: Decomposition, example: int = 0) -> Decomposition:
    """The factors and weights (H, N, M) of one example."""
    return Decomposition(*(x[example] for x in found))
