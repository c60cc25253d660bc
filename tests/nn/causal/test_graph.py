"""Causal graphs: order, depth, relatives, and graphs that are none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from reprise.config.errors import ConfigError
from reprise.nn.causal.graph import CausalGraph
from tests.nn.causal.random_laws import random_graph

G = CausalGraph({"Bald": ["Male", "Young"], "Male": [], "Grin": ["Young", "Smile"], "Smile": ["Male"], "Young": []})


def test_order_and_levels_follow_the_arrows() -> None:
    assert G.names == ("Bald", "Male", "Grin", "Smile", "Young")
    assert G.order == ("Male", "Smile", "Young", "Bald", "Grin")
    assert G.levels == [["Male", "Young"], ["Bald", "Smile"], ["Grin"]]
    assert [G.index(name) for name in G.names] == [0, 1, 2, 3, 4] and len(G) == 5


def test_relatives() -> None:
    assert G.parents("Grin") == ("Young", "Smile") and G.children("Male") == ("Bald", "Smile")
    assert G.ancestors("Grin") == {"Young", "Smile", "Male"} and G.ancestors("Male") == set()
    assert G.descendants("Male") == {"Bald", "Smile", "Grin"} and G.descendants("Grin") == set()


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs_keep_their_promises(seed: int) -> None:
    graph = random_graph(np.random.default_rng(seed), 2 + seed % 6)
    assert sorted(graph.order) == sorted(graph.names) == sorted(itertools.chain(*graph.levels))
    depth = {name: d for d, level in enumerate(graph.levels) for name in level}
    adjacency = np.array([[a in graph.parents(b) for b in graph.names] for a in graph.names])
    reaches = sum(np.linalg.matrix_power(adjacency.astype(int), k) for k in range(1, len(graph) + 1)) > 0
    for i, name in enumerate(graph.names):
        parents = graph.parents(name)
        assert all(graph.order.index(p) < graph.order.index(name) for p in parents)
        assert depth[name] == max((depth[p] + 1 for p in parents), default=0)
        assert graph.ancestors(name) == {graph.names[j] for j in np.flatnonzero(reaches[:, i])}
        assert graph.descendants(name) == {graph.names[j] for j in np.flatnonzero(reaches[i])}


def test_equality_sees_order_and_parents() -> None:
    same = CausalGraph({name: list(G.parents(name)) for name in G.names})
    assert same == G and hash(same) == hash(G)
    assert CausalGraph({name: list(G.parents(name)) for name in sorted(G.names)}) != G
    assert CausalGraph({"Male": [], "Bald": []}) != CausalGraph({"Male": [], "Bald": ["Male"]})


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ({}, "has no labels"),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, r"has a cycle: (a -> c -> b -> a|b -> a -> c -> b|c -> b -> a -> c)\."),
        ({"root": [], "a": ["root", "b"], "b": ["a"], "leaf": ["a"]}, r"has a cycle: (a -> b -> a|b -> a -> b)\."),
        ({"leaf": ["a"], "a": ["b"], "b": ["a"]}, r"has a cycle: (a -> b -> a|b -> a -> b)\."),
        ({"a": ["a"]}, r"has a cycle: a -> a\."),
        ({"Male": [], "Bald": ["Mal"]}, r"'Mal' as a parent of 'Bald', .* Did you mean 'Male' "),
        ({"Male": [], "Bald": ["Male", "Male"]}, "names 'Male' twice as a parent of 'Bald'"),
    ],
)
def test_what_is_no_graph_is_refused(nodes: dict[str, list[str]], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        CausalGraph(nodes)


@pytest.mark.parametrize("ask", [G.index, G.parents, G.children, G.ancestors, G.descendants])
def test_unknown_labels_are_named(ask: object) -> None:
    with pytest.raises(ConfigError, match=r"no label 'Smil'\. Did you mean 'Smile'\?"):
        ask("Smil")  # type: ignore[operator]
