"""A generator step of the Causal Controller: batched products and a closed form against one network a node.

A step is 20 critic steps and a joint one, batches of 64. The other side is the same mathematics as one would write it
down: a network per node, run one after the other, the penalty by differentiating twice, torch's Adam on every weight.
Replicas are runs with other seeds; the other side trains them one after the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.timing import in_turns, table
from reprise.config.compose import compose_config
from reprise.models.causal_controller.critic import Critic
from reprise.models.causal_controller.draws import RealRows
from reprise.models.causal_controller.duel import Duel
from reprise.models.causal_controller.network import Controller, NodeNetworks
from reprise.nn.causal.graph import CausalGraph

GRAPHS = ("g1", "cg1")
REPLICAS = (1, 3)
BATCH, CRITIC_STEPS, PENALTY, LR = 64, 20, 0.1, 8e-5
ROUNDS = 5


def graph_of(name: str) -> CausalGraph:
    """A graph of conf/graph."""
    nodes = compose_config(["model=causal_controller", f"graph={name}"]).values["model"]["graph"]["nodes"]
    return CausalGraph(nodes)


def rows_of(graph: CausalGraph) -> RealRows:
    """Labels of no law in particular."""
    return RealRows(torch.from_numpy(np.random.default_rng(0).integers(0, 2, (10_000, len(graph)))))


def batched(graph: CausalGraph, replicas: int) -> Callable[[], object]:
    """A generator step of all replicas, as the module does it."""
    controller, critic = Controller(graph, replicas=replicas), Critic(len(graph), replicas=replicas)
    for network in (controller, critic):
        network.initialise([np.random.default_rng(r) for r in range(replicas)])
    adams = [torch.optim.Adam(network.parameters(), lr=LR, fused=True) for network in (controller, critic)]
    rows = rows_of(graph)
    duel = Duel(controller, critic, list(range(replicas)), BATCH, CRITIC_STEPS, PENALTY)
    return lambda: duel.play(duel.draw(0, rows), rows, adams[1].step, adams[0].step)


def one_by_one(graph: CausalGraph, replicas: int) -> Callable[[], object]:
    """A generator step of all replicas, a network a node."""
    steps = [_literal(graph, r) for r in range(replicas)]
    return lambda: [step() for step in steps]


def _literal(graph: CausalGraph, seed: int) -> Callable[[], object]:
    torch.manual_seed(seed)
    controller = NodeNetworks(graph, np.random.default_rng(seed))
    sizes = [len(graph), *[15] * 5]
    hidden = [part for a, b in itertools.pairwise(sizes) for part in (nn.Linear(a, b), nn.LeakyReLU(0.2))]
    critic = nn.Sequential(*hidden, nn.Linear(15, 1))
    adams = [torch.optim.Adam(network.parameters(), lr=LR) for network in (controller, critic)]
    labels = rows_of(graph).labels

    def critic_loss(fake: Tensor) -> Tensor:
        real = labels[torch.randint(len(labels), (BATCH,))]
        mixed = torch.lerp(fake, real, torch.rand(BATCH, 1)).requires_grad_()
        (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        return critic(fake).mean() - critic(real).mean() + PENALTY * F.mse_loss(slope.norm(dim=1), torch.ones(BATCH))

    def noise() -> Tensor:
        return 2 * torch.rand(BATCH, len(graph), 10) - 1

    def step() -> None:
        for last in [False] * CRITIC_STEPS + [True]:
            with torch.set_grad_enabled(last):
                fake = controller(noise())
            gradients = torch.autograd.grad(critic_loss(fake.detach()), list(critic.parameters()))
            if last:
                adams[0].zero_grad()
                (-critic(fake).mean()).backward()
                adams[0].step()
            for weight, gradient in zip(critic.parameters(), gradients, strict=True):
                weight.grad = gradient
            adams[1].step()

    return step


def compare(name: str, replicas: int, rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds a generator step of all replicas takes."""
    graph = graph_of(name)
    return in_turns({"batched": batched(graph, replicas), "one by one": one_by_one(graph, replicas)}, rounds)


def run() -> None:
    """Print generator steps a second."""
    rows = []
    for name in GRAPHS:
        for replicas in REPLICAS:
            seconds = compare(name, replicas)
            per_second = {k: replicas / v for k, v in seconds.items()}
            times = seconds["one by one"] / seconds["batched"]
            minutes = 30_001 * seconds["batched"] / 60
            words = [
                f"{per_second['batched']:.1f}",
                f"{per_second['one by one']:.1f}",
                f"{times:.1f}",
                f"{minutes:.1f}",
            ]
            rows.append([f"{name}, {replicas} replica{'s' if replicas > 1 else ''}", *words])
    columns = ["", "batched, steps/s", "one by one, steps/s", "times as fast", "minutes for 30,001 steps"]
    table("Generator steps of the Causal Controller, all replicas together", columns, rows)
