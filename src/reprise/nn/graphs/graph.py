"""A graph with features of its nodes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from reprise.nn.graphs.edges import Edges
from reprise.nn.graphs.features import Features


@dataclass(frozen=True, eq=False)
class Graph:
    """What a network is given.

    Attributes:
        x: features of the nodes (N, F).
        edges: among N nodes.
    """

    x: Features
    edges: Edges

    def to(self, device: torch.device | str) -> Graph:
        """The same graph on a device."""
        return Graph(self.x.to(device), self.edges.to(device))
