"""An attention weight is a similarity of a query and a key times their magnitude (Implicit Kernel Attention)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from reprise.nn.attention.norm import squared_norm
from reprise.nn.attention.softmax import masked_softmax, segment_softmax


class Decomposition(NamedTuple):
    """The two factors of attention weights, and the weights they make.

    Attributes:
        log_similarity: of query and key; (B, H, N, M), or (E, H) on edges.
        log_magnitude: of query and key, the same shape.
        weights: exp(log_similarity + log_magnitude), normalised over the keys of a query; the same shape.
    """

    log_similarity: Tensor
    log_magnitude: Tensor
    weights: Tensor


def of_matrix(log_similarity: Tensor, log_magnitude: Tensor, allowed: Tensor | None = None) -> Decomposition:
    """The weights that two factors make.

    Args:
        log_similarity: (B, H, N, M).
        log_magnitude: (B, H, N, M).
        allowed: bool, broadcasts to (B, H, N, M).
    """
    weights = masked_softmax(log_similarity + log_magnitude, allowed)
    return Decomposition(log_similarity, log_magnitude, weights)


def dot_product(q: Tensor, k: Tensor, allowed: Tensor | None = None) -> Decomposition:
    """The scaled dot product as an RBF kernel of bandwidth^2 sqrt(d) times exponentials of squared L2 norms.

    exp(q'k / sqrt(d)) = exp(-|q - k|^2 / (2 sqrt(d))) exp((|q|^2 + |k|^2) / (2 sqrt(d))).

    Args:
        q: (B, H, N, d).
        k: (B, H, M, d).
        allowed: bool, broadcasts to (B, H, N, M).
    """
    scale = 2 * math.sqrt(q.shape[-1])
    # of differences, not of products: the two would cancel where a query and a key lie close together
    distance = torch.cdist(q, k, compute_mode="donot_use_mm_for_euclid_dist").square()
    magnitude = (squared_norm(q, 2.0).unsqueeze(-1) + squared_norm(k, 2.0).unsqueeze(-2)) / scale
    return of_matrix(-distance / scale, magnitude, allowed)


def graph_attention(a: Tensor, z: Tensor, targets: Tensor, nodes: int, slope: float = 0.2) -> Decomposition:
    """GAT's weights as an RBF kernel of the weight vector and the pair, times exponentials of squared L2 norms.

    exp(LeakyReLU(a'z)) = exp(-c |a - z|^2 / 2) exp(c (|a|^2 + |z|^2) / 2), with c = 1 where a'z > 0, else the slope.

    Args:
        a: (H, 2 d) weight vectors.
        z: (E, H, 2 d), [W h_i, W h_j] of each edge.
        targets: (E,) of int64, node i, over whose neighbours j the weights add to 1.
        nodes: how many there are.
        slope: of LeakyReLU below 0.
    """
    c = torch.where((a * z).sum(-1) > 0, 1.0, slope).to(z)
    log_similarity = -c / 2 * (a - z).square().sum(-1)
    log_magnitude = c / 2 * (squared_norm(a, 2.0) + squared_norm(z, 2.0))
    return Decomposition(log_similarity, log_magnitude, segment_softmax(log_similarity + log_magnitude, targets, nodes))
