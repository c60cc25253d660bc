"""Graphs of the paper, and small controllers on them."""

from __future__ import annotations

import numpy as np

from reprise.causal.graph import CausalGraph
from reprise.models.causal_controller.network import Controller, NodeNetworks

_BOTH = ["Male", "Young"]
G1 = CausalGraph(
    {
        "Young": [],
        "Male": [],
        "Eyeglasses": ["Young"],
        "Bald": _BOTH,
        "Mustache": _BOTH,
        "Smiling": _BOTH,
        "Wearing_Lipstick": _BOTH,
        "Mouth_Slightly_Open": ["Young", "Smiling"],
        "Narrow_Eyes": [*_BOTH, "Smiling"],
    }
)
CG1 = CausalGraph({name: list(G1.names[:i]) for i, name in enumerate(G1.names)})
CHAIN = CausalGraph({"a": [], "b": ["a"], "c": ["b"]})


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def perturbed(graph: CausalGraph, seed: int, **sizes: int) -> NodeNetworks:
    """Networks whose biases are not 0 either."""
    networks = NodeNetworks(graph, rng(seed), **sizes)
    generator = rng(seed + 1)
    for parameter in networks.parameters():
        parameter.data += 0.3 * parameter.new_tensor(generator.standard_normal(parameter.shape))
    return networks


def controller_of(graph: CausalGraph, *seeds: int) -> Controller:
    controller = Controller(graph, replicas=len(seeds))
    controller.initialise([rng(seed) for seed in seeds])
    return controller
