"""The edges of a graph, sorted so that those that end in a node lie together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Blocks:
    """Edges of H copies of a graph side by side, one a head, as a sparse matrix of H N rows.

    Node i of copy h is h N + i, edge e of copy h is h E + e. All indices are int32, which sparse products take as they
    are.

    Attributes:
        size: H N.
        source, target: (H E,) nodes that edges start and end in.
        starts: (H N + 1,) the edges that end in node n are starts[n] to starts[n + 1].
        back: (H E,) the edges sorted by source.
        back_starts: (H N + 1,) of the edges in this order.
        back_target: (H E,) nodes that the edges in this order end in.
    """

    size: int
    source: Tensor
    target: Tensor
    starts: Tensor
    back: Tensor
    back_starts: Tensor
    back_target: Tensor


class Edges:
    """Directed edges j -> i of N nodes, sorted by i and then by j.

    Args:
        index: (2, E) int64, sources j above targets i, in any order; equal edges count once.
        nodes: N.

    Raises:
        ValueError: another shape, or an index is no node.
    """

    def __init__(self, index: Tensor, nodes: int) -> None:
        if index.ndim != 2 or len(index) != 2:
            raise ValueError(f"edges have the shape {tuple(index.shape)}. Expected (2, E).")
        if index.numel() and (int(index.min()) < 0 or int(index.max()) >= nodes):
            raise ValueError(f"edges name nodes {int(index.min())} to {int(index.max())}. Expected 0 to {nodes - 1}.")
        order = torch.unique(index[1].long() * nodes + index[0].long())  # sorted
        self.nodes = nodes
        self.target = torch.div(order, nodes, rounding_mode="floor")
        self.source = order - self.target * nodes
        self._blocks: dict[int, Blocks] = {}

    def __len__(self) -> int:
        return len(self.source)

    @property
    def index(self) -> Tensor:
        """(2, E) sources above targets."""
        return torch.stack([self.source, self.target])

    def to(self, device: torch.device | str) -> Edges:
        """The same edges on a device."""
        moved = Edges.__new__(Edges)
        moved.nodes, moved._blocks = self.nodes, {}
        moved.source, moved.target = self.source.to(device), self.target.to(device)
        return moved

    def blocks(self, heads: int) -> Blocks:
        """The edges of so many copies; worked out once."""
        if heads not in self._blocks:
            self._blocks[heads] = self._copies(heads)
        return self._blocks[heads]

    def _copies(self, heads: int) -> Blocks:
        back = torch.argsort(self.source, stable=True)
        return Blocks(
            heads * self.nodes,
            _shifted(self.source, heads, self.nodes),
            _shifted(self.target, heads, self.nodes),
            _starts(self.target, heads, self.nodes),
            _shifted(back, heads, len(self)),
            _starts(self.source, heads, self.nodes),
            _shifted(self.target[back], heads, self.nodes),
        )


def _shifted(values: Tensor, heads: int, step: int) -> Tensor:
    shift = torch.arange(heads, device=values.device) * step
    return (values[None] + shift[:, None]).reshape(-1).int()


def _starts(nodes_of_edges: Tensor, heads: int, nodes: int) -> Tensor:
    ends = torch.bincount(nodes_of_edges, minlength=nodes).cumsum(0)
    ends = (ends[None] + torch.arange(heads, device=ends.device)[:, None] * len(nodes_of_edges)).reshape(-1)
    return torch.cat([ends.new_zeros(1), ends]).int()
