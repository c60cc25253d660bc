"""Graph attention network (Veličković et al. 2018), attention on edges and never as a matrix of all pairs.

The scores of edges are exchangeable: `AdditiveScore` is the paper's, `ImplicitKernelScore` that of implicit kernel
attention.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reprise.models.gat.scores import EdgeScore, Parts
from reprise.nn.attention.base import Draw
from reprise.nn.dropout import dropped
from reprise.nn.graphs.edges import Blocks, Edges
from reprise.nn.graphs.features import Features, drop_features
from reprise.nn.graphs.graph import Graph
from reprise.nn.graphs.operations import neighbour_softmax, weighted_sums

Combine = Literal["concat", "mean"]


class Classified(NamedTuple):
    """What the network says.

    Attributes:
        logits: (N, C).
        penalty: () to be added to the loss.
    """

    logits: Tensor
    penalty: Tensor


class Look(NamedTuple):
    """What a layer attends to.

    Attributes:
        parts: of the scores.
        weights: (H E,) attention weights.
        blocks: how edges and heads are numbered.
        heads: H.
    """

    parts: Parts
    weights: Tensor
    blocks: Blocks
    heads: int


class GraphAttention(nn.Module):
    """One layer: h'_i = sum over neighbours j of alpha_ij W h_j, for each head (equations 4 to 6).

    Args:
        inputs: F, features of a node.
        size: D, units of a head.
        heads: H.
        score: of edges, waiting for heads and size.
        combine: heads side by side (H D outputs), or their mean (D outputs).
        dropout: of inputs, in training.
        attention_dropout: of attention weights, in training.
        projected_dropout: of the W h_j that are summed, in training.
    """

    def __init__(
        self,
        inputs: int,
        size: int,
        heads: int,
        score: Callable[..., EdgeScore],
        combine: Combine = "concat",
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        projected_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.size = size
        self.combine = combine
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.projected_dropout = projected_dropout
        limit = math.sqrt(6.0 / (inputs + size))  # Glorot, of each head by itself
        self.weight = nn.Parameter(torch.empty(inputs, heads * size).uniform_(-limit, limit))
        self.bias = nn.Parameter(torch.zeros(heads * size if combine == "concat" else size))
        self.score = score(heads=heads, size=size)

    def forward(self, x: Features, edges: Edges, draw: Draw | None = None) -> tuple[Tensor, Tensor]:
        """One pass.

        Args:
            x: (N, F).
            edges: among N nodes.
            draw: what random scores are made of; None where nothing may be random.

        Returns:
            (N, H D) or (N, D), and the penalty () of the scores.
        """
        blocks = edges.blocks(self.heads)
        h = self.project(drop_features(x, self.dropout, self.training))
        scores, penalty = self.score(h, blocks, draw)
        weights = neighbour_softmax(scores, blocks)
        if self.training and self.attention_dropout:
            weights = dropped(weights, self.attention_dropout)
        if self.training and self.projected_dropout:
            h = dropped(h, self.projected_dropout)
        sums = weighted_sums(weights, h.reshape(-1, self.size), blocks).view(self.heads, -1, self.size)
        joined = sums.transpose(0, 1).reshape(-1, self.heads * self.size) if self.combine == "concat" else sums.mean(0)
        return joined + self.bias, penalty

    def project(self, x: Features) -> Tensor:
        """W h of each node and head, (H, N, D)."""
        h = x @ self.weight
        return h.view(len(h), self.heads, self.size).transpose(0, 1).contiguous()

    def look(self, x: Features, edges: Edges, draw: Draw | None = None) -> Look:
        """What the layer attends to, without dropout."""
        blocks, h = edges.blocks(self.heads), self.project(x)
        weights = neighbour_softmax(self.score(h, blocks, draw).scores, blocks)
        return Look(self.score.decompose(h, blocks, draw), weights, blocks, self.heads)


class GATNetwork(nn.Module):
    """Layers of graph attention; ELU between them, class scores after the last.

    Args:
        features: F, of a node.
        classes: C.
        score: of edges, waiting for heads and size of a layer.
        hidden: units of a head in each layer but the last.
        heads: of each layer, the last included.
        dropout: of the inputs of each layer.
        attention_dropout: of attention weights.
        projected_dropout: of projected features where they are summed.

    Raises:
        ValueError: a number is out of range, or there is not one more of `heads` than of `hidden`.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        score: Callable[..., EdgeScore],
        hidden: list[int],
        heads: list[int],
        dropout: float = 0.6,
        attention_dropout: float = 0.6,
        projected_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(heads) != len(hidden) + 1:
            raise ValueError(f"heads are {heads} and hidden {hidden}. Expected one more of heads: the last layer's.")
        if min([features, classes, *heads, *hidden]) < 1:
            raise ValueError("features, classes, heads and hidden are 1 or more each.")
        for name, share in (("dropout", dropout), ("attention_dropout", attention_dropout)):
            if not 0.0 <= share < 1.0:
                raise ValueError(f"{name} is {share}. Expected 0 or more, below 1.")
        sizes = [*hidden, classes]
        inputs = [features, *(h * d for h, d in zip(heads, hidden, strict=False))]
        last = len(hidden)
        self.layers = nn.ModuleList(
            GraphAttention(
                inputs[i],
                sizes[i],
                heads[i],
                score,
                "mean" if i == last else "concat",
                dropout,
                attention_dropout,
                projected_dropout,
            )
            for i in range(last + 1)
        )

    def forward(self, graph: Graph, draw: Draw | None = None) -> Classified:
        """Classify every node; `draw` as in `GraphAttention`."""
        x: Features = graph.x
        total: Tensor | None = None
        for i, layer in enumerate(self.layers):
            inputs = F.elu(x) if i and isinstance(x, Tensor) else x
            out, penalty = layer(inputs, graph.edges, draw)
            x, total = out, penalty if total is None else total + penalty
        assert isinstance(x, Tensor) and total is not None
        return Classified(x, total)

    @torch.no_grad()
    def look(self, graph: Graph, draw: Draw | None = None) -> list[Look]:
        """What each layer attends to, without dropout."""
        training = self.training
        self.eval()
        found: list[Look] = []
        x: Features = graph.x
        for layer in self.layers:
            assert isinstance(layer, GraphAttention)
            inputs = F.elu(x) if found and isinstance(x, Tensor) else x
            found.append(layer.look(inputs, graph.edges, draw))
            x, _ = layer(inputs, graph.edges, draw)
        self.train(training)
        return found
