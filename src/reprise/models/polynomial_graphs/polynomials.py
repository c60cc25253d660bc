"""Synthetic data: each variable is a random cubic polynomial of its parents and of noise of its own.

As the authors' code has it (synthetic/models.py): all products of three entries of (1, inputs), coefficients U[-1, 1],
rescaled so that the values on a grid fill [0, 1]; at the end every variable is mapped to [0.05, 0.95].
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor, nn

from reprise.models.polynomial_graphs.draws import repetition_rng
from reprise.models.polynomial_graphs.graphs import ORDER, PARENTS, GraphName

MARGIN = 0.05  # nothing comes closer to 0 or 1, which a sigmoid reaches badly
_STEPS = {
    1: 200,
    2: 200,
    3: 50,
}  # steps of the grid an axis; with three inputs the authors' 200 would be 8 million points


def cubic(coefficients: Tensor, inputs: Tensor) -> Tensor:
    """Values (R, B) of cubic polynomials.

    Args:
        coefficients: c (R, d, d, d); the value is the sum over i, j, k of c_ijk y_i y_j y_k with y = (1, inputs).
        inputs: (R, B, d - 1).
    """
    y = torch.cat([torch.ones_like(inputs[..., :1]), inputs], -1)
    r, b, d = y.shape
    products = torch.bmm(y, coefficients.reshape(r, d, d * d)).reshape(r, b, d, d)
    return ((products * y[:, :, :, None]).sum(2) * y).sum(-1)


def random_cubic(inputs: int, rng: np.random.Generator) -> Tensor:
    """Coefficients (d, d, d) of a polynomial whose values on a grid of [0, 1]^inputs fill [0, 1]; d = inputs + 1.

    Between the points of the grid a value can leave [0, 1] by a little.
    """
    d = inputs + 1
    c = torch.from_numpy(rng.uniform(-1.0, 1.0, (d, d, d)))
    axis = np.linspace(0.0, 1.0, _STEPS[inputs] + 1)
    grid = torch.from_numpy(np.stack(np.meshgrid(*[axis] * inputs, indexing="ij"), -1).reshape(-1, inputs))
    values = cubic(c[None], grid[None])
    low, high = values.min(), values.max()
    c[0, 0, 0] -= low
    return (c / (high - low)).float()


class PolynomialData(nn.Module):
    """Three variables in each of R repetitions, which have polynomials of their own.

    Args:
        graph: that the variables follow.
        as_released: with the fault of the authors' code, by which a variable with two parents is a cubic of its first
            parent alone, without noise: X2 = p(X1) in the collider, X3 = p(X1) in the complete graph.
        seed: of the study; the polynomials of repetition r are a function of seed, r and the graph.
        repetitions: R.
    """

    def __init__(self, graph: GraphName, as_released: bool, seed: int, repetitions: int) -> None:
        super().__init__()
        self.graph, self.as_released = graph, as_released
        drawn: list[list[Tensor]] = []
        for r in range(repetitions):
            rng = repetition_rng(seed, f"polynomials, {graph}", r, 0)
            drawn.append([random_cubic(len(self.inputs(node)), rng) for node in ORDER[graph]])
        for place, node in enumerate(ORDER[graph]):
            self.register_buffer(f"coefficients_{node}", torch.stack([of_one[place] for of_one in drawn]))

    def inputs(self, node: int) -> tuple[int, ...]:
        """What a node's polynomial takes: variables as 0, 1, 2, exogenous noise as 3, 4, 5."""
        parents = PARENTS[self.graph][node]
        return parents[:1] if self.as_released and len(parents) == 2 else (*parents, 3 + node)

    def forward(self, exogenous: Tensor) -> Tensor:
        """Variables (R, B, 3) in [0.05, 0.95] of exogenous noise (R, B, 3) in [0, 1]."""
        known: list[Tensor | None] = [None, None, None, *exogenous.unbind(-1)]
        for node in ORDER[self.graph]:
            given = [value for place in self.inputs(node) if (value := known[place]) is not None]
            known[node] = cubic(self.get_buffer(f"coefficients_{node}"), torch.stack(given, -1))
        found = torch.stack([value for value in itertools.islice(known, 3) if value is not None], -1)
        return MARGIN + (1.0 - 2.0 * MARGIN) * found
