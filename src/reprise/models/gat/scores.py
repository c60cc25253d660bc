"""How much node i heeds its neighbour j: GAT's scores, and what any other kind of scores has to offer.

Symbols: Wh_i (D,) projected features of node i in a head; z_ij = [Wh_i || Wh_j] (2D,); a (2D,) the head's weight
vector. Edges run from j to i; values of edges are (H E,), as `Blocks` numbers them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reprise.nn.attention.base import Draw
from reprise.nn.graphs.edges import Blocks
from reprise.nn.graphs.operations import end_sums


class Scored(NamedTuple):
    """Scores of edges.

    Attributes:
        scores: (H E,) whose softmax over the edges of a node are its attention weights.
        penalty: () to be added to the loss.
    """

    scores: Tensor
    penalty: Tensor


class Parts(NamedTuple):
    """A score as similarity and magnitude.

    Attributes:
        log_similarity, log_magnitude: (H E,), whose sum is the score, but for a constant of each node and head.
    """

    log_similarity: Tensor
    log_magnitude: Tensor


class EdgeScore(nn.Module, ABC):
    """Scores of edges from projected features of their ends.

    Args:
        heads: H.
        size: D, of a head.
    """

    def __init__(self, heads: int, size: int) -> None:
        super().__init__()
        self.heads = heads
        self.size = size

    @abstractmethod
    def forward(self, h: Tensor, blocks: Blocks, draw: Draw | None = None) -> Scored:
        """Score the edges; h (H, N, D) holds Wh, draw is None where nothing may be random."""

    @abstractmethod
    def decompose(self, h: Tensor, blocks: Blocks, draw: Draw | None = None) -> Parts:
        """The two parts of the scores, without dropout."""


def weight_vectors(heads: int, size: int) -> nn.Parameter:
    """Vectors a (H, 2 D); each half is Glorot-uniform as a map of D to one number, as GAT's authors have it."""
    limit = math.sqrt(6.0 / (size + 1))
    return nn.Parameter(torch.empty(heads, 2 * size).uniform_(-limit, limit))


class AdditiveScore(EdgeScore):
    """e_ij = LeakyReLU(a . z_ij) of graph attention (Veličković et al. 2018, equation 3).

    Args:
        heads, size: see EdgeScore.
        slope: of the LeakyReLU where its argument is negative.
    """

    def __init__(self, heads: int, size: int, slope: float = 0.2) -> None:
        super().__init__(heads, size)
        self.a = weight_vectors(heads, size)
        self.slope = slope

    def forward(self, h: Tensor, blocks: Blocks, draw: Draw | None = None) -> Scored:
        """Score the edges; nothing is random, and there is no penalty."""
        return Scored(F.leaky_relu(self._products(h, blocks), self.slope), h.new_zeros(()))

    def decompose(self, h: Tensor, blocks: Blocks, draw: Draw | None = None) -> Parts:
        """Gaussian kernel of a and z_ij, and norms: a . z = (|a|^2 + |z|^2 - |a - z|^2) / 2, times the slope there."""
        products = self._products(h, blocks)
        squares = h.square().sum(2).reshape(-1)
        norms = self.a.square().sum(1).repeat_interleave(len(blocks.source) // self.heads)
        norms = norms + end_sums(squares, squares, blocks)
        slope = torch.where(products > 0, 1.0, self.slope)
        return Parts(slope * (products - norms / 2), slope * norms / 2)

    def _products(self, h: Tensor, blocks: Blocks) -> Tensor:
        ends = h @ self.a.view(self.heads, 2, self.size).transpose(1, 2)  # (H, N, 2)
        return end_sums(ends[..., 0].reshape(-1), ends[..., 1].reshape(-1), blocks)
