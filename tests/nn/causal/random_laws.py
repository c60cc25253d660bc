"""Random graphs and conditionals, and what follows from them by going through every combination in plain Python."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from reprise.nn.causal.graph import CausalGraph
from reprise.nn.causal.law import CausalLaw

Combination = tuple[int, ...]
RNGS = st.integers(0, 2**32 - 1).map(np.random.default_rng)
"""Generators of what a test draws beside a law."""
searched = settings(derandomize=True, deadline=None, max_examples=60, database=None)
"""Examples are the same in every run, and none is kept on disk."""


def random_graph(rng: np.random.Generator, size: int) -> CausalGraph:
    """A graph whose labels stand in another order than its arrows, their parents too."""
    causal = [f"l{i}" for i in rng.permutation(size)]
    share = rng.random()
    parents = {
        name: [str(p) for p in rng.permutation([c for c in causal[:i] if rng.random() < share])]
        for i, name in enumerate(causal)
    }
    return CausalGraph({str(name): parents[name] for name in rng.permutation(causal)})


def random_law(rng: np.random.Generator, size: int, zeros: bool = False) -> CausalLaw:
    """Conditionals of a random graph; with `zeros` some of them are 0 or 1."""
    graph = random_graph(rng, size)
    found = {}
    for name in graph.names:
        value = rng.random((2,) * len(graph.parents(name)))
        found[name] = np.where(rng.random(value.shape) < 0.3, np.round(value), value) if zeros else value
    return CausalLaw(graph, found)


def laws(least: int = 1, most: int = 6, zeros: bool | None = None) -> st.SearchStrategy[CausalLaw]:
    """Random laws; a failing one is cut down to few labels."""
    return st.builds(random_law, RNGS, st.integers(least, most), st.booleans() if zeros is None else st.just(zeros))


def enumerated(law: CausalLaw, do: dict[str, int] | None = None) -> dict[Combination, float]:
    """Probability of every combination in the order of the graph's names, by the truncated product."""
    do = do or {}
    found = {}
    for combination in itertools.product((0, 1), repeat=len(law.graph.names)):
        value = dict(zip(law.graph.names, combination, strict=True))
        p = 1.0
        for name in law.graph.names:
            if name in do:
                p *= float(value[name] == do[name])
            else:
                one = law.conditionals[name]
                for parent in law.graph.parents(name):
                    one = one[value[parent]]
                p *= float(one) if value[name] else 1 - float(one)
        found[combination] = p
    return found


def some_values(rng: np.random.Generator, names: tuple[str, ...], most: int = 2) -> dict[str, int]:
    """Values of one or a few of the labels."""
    chosen = rng.permutation(names)[: rng.integers(1, most + 1)]
    return {str(name): int(rng.integers(2)) for name in chosen}
