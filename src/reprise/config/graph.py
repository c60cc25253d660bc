"""The causal graph that a config describes, checked before a run begins."""

from __future__ import annotations

from typing import Any

from reprise.config.check import trust
from reprise.config.instantiate import instantiate


def check_graph(values: dict[str, Any]) -> None:
    """Build the causal graph where a model has one: it is small, and refuses cycles and unknown causes itself.

    Args:
        values: of a config that was checked.

    Raises:
        ConfigError: it is none.
    """
    graph = values["model"].get("graph")
    if isinstance(graph, dict) and "_target_" in graph:
        trust(values["allow"])
        instantiate(graph)
