"""Zachary's karate club (1977): 34 members, their friendships, and which of two clubs each joined after a dispute."""

from __future__ import annotations

from typing import Any

import numpy as np

from reprise.data.graphs.drawn import DrawnSplit


class Karate(DrawnSplit):
    """The club as NetworkX, which comes with torch, has it; the features are the identity, so nodes only have names."""

    def content(self) -> tuple[str, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """The graph of NetworkX."""
        import networkx

        club = networkx.karate_club_graph()
        y = np.array([int(club.nodes[node]["club"] != "Mr. Hi") for node in range(len(club))])
        edges = np.array(list(club.edges())).T
        return "karate", np.eye(len(y), dtype=np.float32), y, edges, {"from": "networkx.karate_club_graph"}
