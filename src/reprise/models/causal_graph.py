"""A causal graph as configs name it, conf/graph/*.yaml."""

from __future__ import annotations

from reprise.causal.graph import CausalGraph


class Graph(CausalGraph):
    """See CausalGraph. Configs may build classes of a few rooms only, of which `reprise.causal` is none."""
