"""The controller is the networks of its nodes, whatever the graph and the intervention."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reprise.causal.graph import CausalGraph
from reprise.config.errors import ConfigError
from reprise.models.causal_controller.critic import Critic
from reprise.models.causal_controller.network import Controller, NodeNetworks
from tests.causal.random_laws import random_graph
from tests.models.causal_controller.graphs import CG1, CHAIN, G1, controller_of, perturbed, rng


def _noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(rng(seed).uniform(-1, 1, shape)).float()


@pytest.mark.parametrize(("graph", "expected"), [(G1, 5189), (CG1, 5409)])
def test_as_many_weights_as_the_released_controller(graph: CausalGraph, expected: int) -> None:
    assert sum(p.numel() for p in Controller(graph).parameters()) == expected
    assert sum(p.numel() for p in NodeNetworks(graph, rng(0)).parameters()) == expected
    assert sum(p.numel() for p in Controller(graph, replicas=3).parameters()) == 3 * expected


def test_as_many_weights_as_the_released_critic() -> None:
    assert sum(p.numel() for p in Critic(9).parameters()) == 1126


@pytest.mark.parametrize("seed", range(30))
def test_batched_products_are_the_networks_one_by_one(seed: int) -> None:
    generator = rng(seed)
    size, replicas, layers = (int(generator.integers(1, most)) for most in (7, 4, 4))
    layers += 1
    graph = random_graph(generator, size)
    one_by_one = [perturbed(graph, seed + r, noise_dims=3, width=4, layers=layers) for r in range(replicas)]
    controller = Controller(graph, noise_dims=3, width=4, layers=layers, replicas=replicas)
    controller.load_nodes(one_by_one)
    noise = _noise(seed, replicas, 7, size, 3)
    held = [str(name) for name in generator.permutation(graph.names)[: generator.integers(0, size + 1)]]
    kinds = [float(generator.random()), torch.rand(7), torch.rand(replicas, 7)]
    do = {name: kinds[i % 3] for i, name in enumerate(held)}
    found = controller(noise, do)
    assert found.shape == (replicas, 7, size)
    for r, networks in enumerate(one_by_one):
        mine = {name: v[r] if torch.is_tensor(v) and v.ndim == 2 else v for name, v in do.items()}
        assert torch.allclose(found[r], networks(noise[r], mine), atol=1e-6)


def test_gradients_are_those_of_the_networks_one_by_one() -> None:
    networks = perturbed(G1, 3).double()
    controller = Controller(G1).double()
    controller.load_nodes([networks])
    noise = torch.from_numpy(rng(0).uniform(-1, 1, (1, 16, 9, 10)))
    weight = torch.from_numpy(rng(1).standard_normal((16, 9)))
    (controller(noise)[0] * weight).sum().backward()
    (networks(noise[0]) * weight).sum().backward()
    again = Controller(G1).double()
    for parameter in networks.parameters():  # gradients as weights, so that they come to the places of their weights
        parameter.data = parameter.grad.clone()  # type: ignore[union-attr]
    again.load_nodes([networks])
    for parameter, expected in zip(controller.parameters(), again.parameters(), strict=True):
        assert torch.allclose(parameter.grad, expected, atol=1e-12)  # type: ignore[arg-type]


def test_an_intervention_reaches_descendants_only() -> None:
    controller = Controller(G1)
    controller.load_nodes([perturbed(G1, 0)])
    noise = _noise(1, 1, 50, 9, 10)
    free, held = controller(noise), controller(noise, {"Smiling": 1.0})
    moved = {name for i, name in enumerate(G1.names) if not torch.equal(free[:, :, i], held[:, :, i])}
    assert moved == {"Smiling"} | G1.descendants("Smiling")
    assert bool((held[:, :, G1.index("Smiling")] == 1.0).all())


def test_a_replica_starts_as_the_controller_with_its_seed() -> None:
    both, second = controller_of(CHAIN, 5, 6), controller_of(CHAIN, 6)
    noise = _noise(0, 1, 9, 3, 10)
    assert torch.allclose(both(noise.expand(2, -1, -1, -1))[1], second(noise)[0], atol=1e-6)
    assert torch.equal(both.only(1)(noise), second(noise))


def test_initial_weights_are_glorots() -> None:
    first = NodeNetworks(G1, rng(0)).layers_of(8)[0]
    limit = np.sqrt(6 / (13 + 10))  # 10 noise dimensions and three parents
    assert 0.9 * limit < first.weight.abs().max().item() <= limit
    assert first.bias.abs().max().item() == 0.0


def test_an_unknown_node_is_refused_by_name() -> None:
    controller = controller_of(CHAIN, 0)
    with pytest.raises(ConfigError, match="no label 'd'"):
        controller(_noise(0, 1, 2, 3, 10), {"d": 1.0})
    with pytest.raises(ValueError, match=r"noise has the shape \(1, 2, 2, 10\)"):
        controller(_noise(0, 1, 2, 2, 10))
    with pytest.raises(ConfigError, match=r"network.layers is 1. Expected 2"):
        Controller(CHAIN, layers=1)
