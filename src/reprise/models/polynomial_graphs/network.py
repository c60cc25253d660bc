"""Generators and discriminator of the synthetic study (the authors' synthetic/models.py), R repetitions at once.

R repetitions, each with weights of its own; B examples. No weight of a repetition meets another repetition.
"""

from __future__ import annotations

import itertools
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from reprise.models.polynomial_graphs.draws import repetition_rng
from reprise.models.polynomial_graphs.graphs import ORDER, PARENTS, GraphName
from reprise.models.polynomial_graphs.network_minibatch import minibatch_features

VARIABLES = 3
SCALE, MINIBATCH_SCALE = 0.7, 0.02  # standard deviations of first weights

GeneratorName = Literal["linear", "collider", "complete", "fc3", "fc5", "fc10"]
GENERATORS: tuple[GeneratorName, ...] = get_args(GeneratorName)


class Linear(nn.Module):
    """R affine maps at once, weights N(0, 0.7^2), biases 0.

    Args:
        rngs: of each repetition, from which its weights are drawn.
        inputs, outputs: sizes.
    """

    def __init__(self, rngs: list[np.random.Generator], inputs: int, outputs: int) -> None:
        super().__init__()
        drawn = np.stack([rng.normal(0.0, SCALE, (inputs, outputs)) for rng in rngs])
        self.weight = nn.Parameter(torch.from_numpy(drawn).float())
        self.bias = nn.Parameter(torch.zeros(len(rngs), 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(R, B, inputs) to (R, B, outputs)."""
        return torch.baddbmm(self.bias, x, self.weight)


class Perceptron(nn.Module):
    """Affine maps with tanh between and a sigmoid at the end.

    Args:
        rngs: of each repetition.
        sizes: of the input, of hidden layers and of the output.
    """

    def __init__(self, rngs: list[np.random.Generator], sizes: list[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Linear(rngs, *pair) for pair in itertools.pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """(R, B, first size) to (R, B, last size) in (0, 1)."""
        for layer in self.layers[:-1]:
            x = torch.tanh(layer(x))
        return torch.sigmoid(self.layers[-1](x))


class GraphGenerator(nn.Module):
    """One small network per variable, of its parents and of noise of its own: two hidden layers, tanh, sigmoid.

    Args:
        graph: that it is wired by.
        rngs: of each repetition.
        noise_dims: of each variable.
        hidden: width.
    """

    def __init__(self, graph: GraphName, rngs: list[np.random.Generator], noise_dims: int, hidden: int) -> None:
        super().__init__()
        self.graph = graph
        self.nodes = nn.ModuleList(
            Perceptron(rngs, [len(parents) + noise_dims, hidden, hidden, 1]) for parents in PARENTS[graph]
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Variables (R, B, 3) in (0, 1) of noise (R, B, 3 noise_dims) in [0, 1]."""
        parts = noise.chunk(VARIABLES, -1)
        found: dict[int, Tensor] = {}
        for node in ORDER[self.graph]:
            parents = [found[parent] for parent in PARENTS[self.graph][node]]
            found[node] = self.nodes[node](torch.cat([*parents, parts[node]], -1) if parents else parts[node])
        return torch.cat([found[node] for node in range(VARIABLES)], -1)


class ConnectedGenerator(nn.Module):
    """A fully connected network without a graph. As released it sees the first third of the noise only.

    Args:
        layers: affine maps, 3, 5 or 10.
        rngs: of each repetition.
        noise_dims: that it sees.
        hidden: width.
    """

    def __init__(self, layers: int, rngs: list[np.random.Generator], noise_dims: int, hidden: int) -> None:
        super().__init__()
        self.noise_dims = noise_dims
        self.body = Perceptron(rngs, [noise_dims, *[hidden] * (layers - 1), VARIABLES])

    def forward(self, noise: Tensor) -> Tensor:
        """Variables (R, B, 3) in (0, 1) of noise (R, B, 3 noise_dims), of which the first noise_dims are used."""
        found: Tensor = self.body(noise[..., : self.noise_dims])
        return found


def build_generator(name: GeneratorName, seed: int, repetitions: int, noise_dims: int, hidden: int) -> nn.Module:
    """The generator of a name; the weights of repetition r are a function of seed, r and the name.

    Args:
        name: a graph, or fc3, fc5, fc10 for a fully connected network of so many layers.
        seed: of the study.
        repetitions: R.
        noise_dims: of each variable; a fully connected network sees as many in all.
        hidden: width.
    """
    rngs = [repetition_rng(seed, f"generator, {name}", r, 0) for r in range(repetitions)]
    if name == "linear" or name == "collider" or name == "complete":
        return GraphGenerator(name, rngs, noise_dims, hidden)
    return ConnectedGenerator(int(name.removeprefix("fc")), rngs, noise_dims, hidden)


class Discriminator(nn.Module):
    """Two ReLU layers, a minibatch layer, and a logit.

    The authors meant leaky ReLUs, but max(0.5 relu(x), relu(x)) is a ReLU.

    Args:
        seed: of the study; the weights of repetition r are a function of seed and r.
        repetitions: R.
        hidden: width.
        kernels, kernel_dims: of the minibatch layer.
    """

    def __init__(self, seed: int, repetitions: int, hidden: int = 10, kernels: int = 5, kernel_dims: int = 3) -> None:
        super().__init__()
        rngs = [repetition_rng(seed, "discriminator", r, 0) for r in range(repetitions)]
        self.kernels = kernels
        self.first = Linear(rngs, VARIABLES, hidden)
        self.second = Linear(rngs, hidden, hidden)
        # the authors' layer has a bias, which cancels in all differences: Adam would only amplify its rounding errors
        drawn = np.stack([rng.normal(0.0, MINIBATCH_SCALE, (hidden, kernels * kernel_dims)) for rng in rngs])
        self.minibatch = nn.Parameter(torch.from_numpy(drawn).float())
        self.last = Linear(rngs, hidden + kernels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (R, G, B) of G batches (R, G, B, 3); a batch's minibatch features see that batch alone."""
        r, groups, b, _ = x.shape
        h = torch.relu(self.second(torch.relu(self.first(x.reshape(r, groups * b, -1)))))
        features = minibatch_features(torch.bmm(h, self.minibatch).reshape(r * groups, b, self.kernels, -1))
        logits: Tensor = self.last(torch.cat([h, features.reshape(r, groups * b, self.kernels)], -1))
        return logits.reshape(r, groups, b)
