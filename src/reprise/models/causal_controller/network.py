"""The Causal Controller: one small network for each label, whose inputs are its parents and noise of its own.

Definition 1 of Kocaoglu et al. (2018): G_i(Z) = f_i({G_j(Z)}_j in Pa_i, Z_i). A node's network has fully connected
layers with leaky ReLU and a sigmoid at its end; children read the value as it comes, not rounded.

Shapes: R replicas, B rows, n nodes, d noise dimensions of a node, w width.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reprise.causal.graph import CausalGraph
from reprise.config.errors import ConfigError

Do = Mapping[str, Tensor | float]  # node to its value: a number, (B,) or (R, B)


class NodeNetworks(nn.Module):
    """One network per node, run one after the other: the definition, and what `Controller` is compared with.

    Args:
        graph: the causal graph.
        generator: of the weights; Glorot's uniform law, biases 0, as TensorFlow's layers start by default.
        noise_dims: d, uniform on [-1, 1].
        width: w of the hidden layers.
        layers: fully connected layers of a node, the last one included.
        slope: of the leaky ReLU.
    """

    def __init__(
        self,
        graph: CausalGraph,
        generator: np.random.Generator,
        noise_dims: int = 10,
        width: int = 10,
        layers: int = 6,
        slope: float = 0.2,
    ) -> None:
        super().__init__()
        _check_sizes(noise_dims=noise_dims, width=width, layers=layers)
        self.graph = graph
        self.slope = slope
        self.nodes = nn.ModuleList()
        for name in graph.names:
            sizes = [noise_dims + len(graph.parents(name)), *[width] * (layers - 1), 1]
            self.nodes.append(nn.ModuleList(_linear(a, b, generator) for a, b in itertools.pairwise(sizes)))

    def forward(self, noise: Tensor, do: Do | None = None) -> Tensor:
        """Soft labels (B, n) in the order of `graph.names`, of noise (B, n, d); `do` sets nodes to values."""
        values: dict[str, Tensor] = {}
        do = checked(self.graph, do)
        for name in self.graph.order:
            place = self.graph.index(name)
            h = torch.cat([noise[:, place], *(values[p][:, None] for p in self.graph.parents(name))], 1)
            *hidden, last = self.layers_of(place)
            for layer in hidden:
                h = F.leaky_relu(layer(h), self.slope)
            values[name] = torch.sigmoid(last(h))[:, 0]
            if name in do:
                values[name] = torch.as_tensor(do[name], dtype=h.dtype, device=h.device).expand(len(h))
        return torch.stack([values[name] for name in self.graph.names], 1)

    def layers_of(self, place: int) -> list[nn.Linear]:
        """Layers of a node, by its place in `graph.names`."""
        return list(self.nodes[place])  # type: ignore[call-overload, no-any-return]


class Controller(nn.Module):
    """The same networks in batched products: all nodes of equal depth at once, for several replicas.

    Replicas share nothing; they are the same networks with other weights, trained side by side.

    Args:
        graph: the causal graph.
        noise_dims: d, uniform on [-1, 1].
        width: w of the hidden layers.
        layers: fully connected layers of a node, the last one included.
        slope: of the leaky ReLU.
        replicas: R.

    Raises:
        ConfigError: a size is below 1.
    """

    def __init__(
        self,
        graph: CausalGraph,
        noise_dims: int = 10,
        width: int = 10,
        layers: int = 6,
        slope: float = 0.2,
        replicas: int = 1,
    ) -> None:
        super().__init__()
        _check_sizes(noise_dims=noise_dims, width=width, layers=layers, replicas=replicas)
        self.graph = graph
        self.noise_dims, self.width, self.layers, self.slope, self.replicas = noise_dims, width, layers, slope, replicas
        order = [name for level in graph.levels for name in level]  # so that a level is a slice
        self._counts = [len(level) for level in graph.levels]
        self._edges = [(order.index(name), order.index(parent)) for name in order for parent in graph.parents(name)]
        self._index("places", [graph.index(name) for name in order])
        self._index("back", [order.index(name) for name in graph.names])
        self._index("edge_child", [child for child, _ in self._edges])
        self._index("edge_parent", [parent for _, parent in self._edges])
        self.places: Tensor
        self.back: Tensor
        self.edge_child: Tensor
        self.edge_parent: Tensor
        n, r = len(order), replicas
        self.noise_weight = nn.Parameter(torch.zeros(n, r, noise_dims, width))
        self.parent_weight = nn.Parameter(torch.zeros(len(self._edges), r, width))
        self.weights = nn.ParameterList(torch.zeros(n, r, width, width) for _ in range(layers - 2))
        self.biases = nn.ParameterList(torch.zeros(n, r, 1, width) for _ in range(layers - 1))
        self.last_weight = nn.Parameter(torch.zeros(n, r, width, 1))
        self.last_bias = nn.Parameter(torch.zeros(n, r, 1, 1))

    def _index(self, name: str, places: list[int]) -> None:
        self.register_buffer(name, torch.tensor(places, dtype=torch.long), persistent=False)

    def initialise(self, generators: Sequence[np.random.Generator]) -> None:
        """Give each replica the weights that `NodeNetworks` draws of its generator."""
        sizes = (self.noise_dims, self.width, self.layers, self.slope)
        self.load_nodes([NodeNetworks(self.graph, generator, *sizes) for generator in generators])

    @torch.no_grad()
    def load_nodes(self, replicas: Sequence[NodeNetworks]) -> None:
        """Copy the weights of one `NodeNetworks` for each replica.

        Raises:
            ValueError: there are not as many as replicas.
        """
        if len(replicas) != self.replicas:
            raise ValueError(f"{len(replicas)} networks are given for {self.replicas} replicas.")
        d = self.noise_dims
        for r, networks in enumerate(replicas):
            for i, place in enumerate(self.places.tolist()):
                first, *hidden, last = networks.layers_of(place)
                self.noise_weight[i, r] = first.weight[:, :d].T
                for e, (child, parent) in enumerate(self._edges):
                    if child == i:
                        name = self.graph.names[int(self.places[parent])]
                        column = d + self.graph.parents(self.graph.names[place]).index(name)
                        self.parent_weight[e, r] = first.weight[:, column]
                for weight, layer in zip(self.weights, hidden, strict=True):
                    weight[i, r] = layer.weight.T
                for bias, layer in zip(self.biases, (first, *hidden), strict=True):
                    bias[i, r, 0] = layer.bias
                self.last_weight[i, r] = last.weight.T
                self.last_bias[i, r, 0] = last.bias

    def forward(self, noise: Tensor, do: Do | None = None) -> Tensor:
        """Draw soft labels.

        Args:
            noise: (R, B, n, d), uniform on [-1, 1], nodes in the order of `graph.names`.
            do: nodes that are set, and to what: a number, (B,) or (R, B). Their children read that value; their
                parents do not feel it.

        Returns:
            (R, B, n) in [0, 1], in the order of `graph.names`.

        Raises:
            ConfigError: `do` names no node of the graph.
        """
        r, b, n, d = noise.shape
        if (r, n, d) != (self.replicas, len(self.graph), self.noise_dims):
            raise ValueError(
                f"noise has the shape {tuple(noise.shape)}. Expected ({self.replicas}, B, {len(self.graph)}, "
                f"{self.noise_dims})."
            )
        held = {int(self.back[self.graph.index(name)]): value for name, value in checked(self.graph, do).items()}
        # the noise's part of the first layer, of all nodes at once; a level adds what its parents contribute
        own = noise.permute(2, 0, 1, 3)[self.places].reshape(n * r, b, d)
        first = torch.baddbmm(self.biases[0].flatten(0, 1), own, self.noise_weight.flatten(0, 1)).view(n, r, b, -1)
        arrows = self.parent_weight.new_zeros(n, n, r, self.width)
        if self._edges:
            arrows = arrows.index_put((self.edge_child, self.edge_parent), self.parent_weight)
        labels = noise.new_zeros(r, b, 0)
        start = 0
        for count in self._counts:
            stop = start + count
            h = first[start:stop]
            if start:
                h = h + labels @ arrows[start:stop, :start].transpose(1, 2)  # (r, b, start) x (k, r, start, w)
            values = self._finish(h, start, stop)  # (k, r, b)
            for place in range(start, stop):
                if place in held:
                    values = values.clone()
                    values[place - start] = torch.as_tensor(held[place], dtype=h.dtype, device=h.device)
            labels = torch.cat([labels, values.permute(1, 2, 0)], 2)
            start = stop
        return labels[:, :, self.back]

    def _finish(self, h: Tensor, start: int, stop: int) -> Tensor:
        """From the first layer's sums (k, R, B, w) of nodes start ... stop - 1 to their values (k, R, B)."""
        k, r, b, w = h.shape
        h = F.leaky_relu(h, self.slope).reshape(k * r, b, w)
        for weight, bias in zip(self.weights, list(self.biases)[1:], strict=True):
            sums = torch.baddbmm(bias[start:stop].reshape(k * r, 1, w), h, weight[start:stop].reshape(k * r, w, w))
            h = F.leaky_relu(sums, self.slope)
        last = self.last_weight[start:stop].reshape(k * r, w, 1)
        return torch.sigmoid(torch.baddbmm(self.last_bias[start:stop].reshape(k * r, 1, 1), h, last)).view(k, r, b)

    def only(self, replica: int) -> Controller:
        """A controller of one replica, with a copy of its weights."""
        sizes = (self.noise_dims, self.width, self.layers, self.slope)
        found = Controller(self.graph, *sizes).to(self.last_bias)
        with torch.no_grad():
            for mine, all_of_them in zip(found.parameters(), self.parameters(), strict=True):
                mine.copy_(all_of_them[:, replica : replica + 1])
        return found


def checked(graph: CausalGraph, do: Do | None) -> Do:
    """The intervention, {} for None.

    Raises:
        ConfigError: it names no node of the graph.
    """
    for name in do or {}:
        graph.index(name)
    return do or {}


def glorot(generator: np.random.Generator, rows: int, columns: int) -> Tensor:
    """Weights (rows, columns), uniform within sqrt(6 / (rows + columns)) of 0 (Glorot and Bengio 2010)."""
    limit = math.sqrt(6.0 / (rows + columns))
    return torch.from_numpy(generator.uniform(-limit, limit, (rows, columns))).float()


def _linear(inputs: int, outputs: int, generator: np.random.Generator) -> nn.Linear:
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    layer.weight.data.copy_(glorot(generator, outputs, inputs))
    layer.bias.data.zero_()
    return layer


def _check_sizes(**sizes: int) -> None:
    for name, value in sizes.items():
        least = 2 if name == "layers" else 1
        if value < least:
            raise ConfigError(f"network.{name} is {value}. Expected {least} or more.")
