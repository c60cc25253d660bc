"""What is chosen of labels, held against what there is: a graph against data, values of labels against a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reprise.config.errors import ConfigError, suggest
from reprise.nn.causal.graph import CausalGraph
from reprise.nn.causal.law import MAX_LABELS, binary

_SHOWN = 6  # names in a message


def require_table(graph: CausalGraph) -> None:
    """Refuse a graph of more labels than a table of all their combinations can hold.

    Raises:
        ConfigError: it has more.
    """
    if len(graph) > MAX_LABELS:
        raise ConfigError(
            f"the graph has {len(graph)} labels, and a table of their law would have 2^{len(graph)} entries. "
            f"Expected at most {MAX_LABELS}: choose a smaller graph."
        )


def columns_of(nodes: Sequence[str], available: Sequence[str] | None, celeba: str = "data=celeba") -> list[int]:
    """Columns of the data's labels that belong to the labels of a graph.

    Args:
        nodes: labels of the graph.
        available: labels of the data, in the order of their columns; None where they have none.
        celeba: how CelebA's labels are chosen for this model, for messages.

    Raises:
        ConfigError: the data lack one of them.
    """
    if not available:
        raise ConfigError(
            f"the data have no labels by name, and the graph has {_few(nodes)}. Set data.attributes to these, or "
            "choose data that have such labels, e.g. data=shapes."
        )
    missing = [node for node in nodes if node not in available]
    if missing and len(missing) == len(nodes):
        raise ConfigError(
            f"the graph has the labels {_few(nodes)}, and the data have others: {_few(available)}. Expected data and a "
            f"graph that fit: {celeba} data.root=PATH for graphs of CelebA's labels, such as graph=g1, or graph=shapes "
            "for the drawn shapes."
        )
    if missing:
        raise ConfigError(
            f"the graph has the label {missing[0]!r}, which the data lack. {suggest(missing[0], available)} Where "
            "data.attributes leaves it out, name it there; else choose another graph."
        )
    return [list(available).index(node) for node in nodes]


def values_of(word: str, asked: object, graph: CausalGraph) -> dict[str, int]:
    """Labels and their values as a user asks for them.

    Args:
        word: the option, for messages: do or given.
        asked: e.g. {"Mustache": 1}; None for nothing.
        graph: over the labels.

    Raises:
        ConfigError: it is of another form, a label is unknown, or a value is neither 0 nor 1.
    """
    if asked is None:
        return {}
    if not isinstance(asked, Mapping):
        raise ConfigError(
            f"{word}={asked} is not understood. Expected labels and their values, 0 or 1, in braces: "
            f"{word}={{{_nearest(str(asked), graph)}:1}}"
        )
    values: Mapping[Any, Any] = asked
    found = {}
    for name, value in values.items():
        graph.index(str(name))
        found[str(name)] = binary(str(name), value)
    return found


def _nearest(text: str, graph: CausalGraph) -> str:
    """The label that a text begins with, else the last of the graph as an example."""
    return next((name for name in graph.names if text.startswith(name)), graph.names[-1])


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
