"""The distribution of the next step as probabilities of cells on [-1, 1].

Shapes: N steps, L cells, P parameters of a head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from reprise.metrics.forecasts import log_density_of_cells
from reprise.models.wavenet.heads import Head, LogisticMixture, Softmax
from reprise.models.wavenet.mulaw import expand
from reprise.nn.series import SeriesScale


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells that a sample falls into, in ascending order.

    Attributes:
        inputs: what enters the network of each, (L,).
        values: what each stands for, (L,) float64 in [-1, 1].
        edges: between them, (L + 1,) float64 from -1 to 1. Values outside [-1, 1] count to the outermost cells.
    """

    inputs: Tensor
    values: Tensor
    edges: Tensor

    def index(self, audio: Tensor) -> Tensor:
        """Cell of each decoded sample, any shape, int64."""
        return torch.bucketize(audio.double(), self.edges[1:-1])


def cells_of(head: Head, device: torch.device | None = None) -> Cells:
    """The cells of a head.

    Raises:
        TypeError: a head of another kind, whose cells are not known.
    """
    count = head.levels
    if isinstance(head, Softmax):
        inputs = torch.arange(count, device=device)
        between = torch.arange(1, count, device=device, dtype=torch.float64)
        rounded = head.quantiser == "rounded"
        # companded values half-way between two codes, or where the next cell of equal width begins
        companded = (2.0 * between - 1.0) / (count - 1) - 1.0 if rounded else 2.0 * between / count - 1.0
        inner = expand(companded, count)
    elif isinstance(head, LogisticMixture):
        inputs = head.inputs(torch.linspace(-1.0, 1.0, count, device=device, dtype=torch.float64))
        inner = (torch.arange(1, count, device=device, dtype=torch.float64) - 0.5) * (2.0 / (count - 1)) - 1.0
    else:
        raise TypeError(f"the cells of {type(head).__name__} are not known. Expected Softmax or LogisticMixture")
    return Cells(inputs, head.audio(inputs).double(), F.pad(F.pad(inner, (1, 0), value=-1.0), (0, 1), value=1.0))


def probabilities(head: Head, cells: Cells, parameters: Tensor) -> Tensor:
    """Probability of each cell, (N, L) float64, of parameters (N, P)."""
    if isinstance(head, Softmax):
        return torch.softmax(parameters.double(), -1)
    mass = head.log_prob(parameters[:, None], cells.inputs.expand(len(parameters), -1)).double().exp()
    return mass / mass.sum(-1, keepdim=True)  # single precision leaves some 1e-6


def log_density(
    head: Head, cells: Cells, parameters: Tensor, audio: Tensor, outcomes: Tensor, scale: SeriesScale
) -> Tensor:
    """Log density of outcomes, those too that lie outside of all that a sample can be.

    The mass of a cell is spread over it evenly. An outermost cell has all that lies beyond it: of a mixture, the
    density there is the mixture's own; a softmax has none, and the mass falls off as `log_density_of_cells` says.

    Args:
        head, cells: what the distributions are of.
        parameters: (N, P).
        audio: scaled steps (N,), clipped.
        outcomes: (N,), see SeriesScale.relative, not clipped.
        scale: of the series.

    Returns:
        (N,) float64, nats a unit of outcomes.
    """
    inputs = head.inputs(audio)
    index, edges = cells.index(head.audio(inputs)), scale.outcome(cells.edges)
    found = log_density_of_cells(head.log_prob(parameters, inputs), edges, index, outcomes)
    if not isinstance(head, LogisticMixture):
        return found
    steps = outcomes.log() if scale.difference == "log" else outcomes
    beyond = head.log_density(parameters, (steps - scale.centre) / scale.half) - math.log(scale.half)
    if scale.difference == "log":
        beyond = beyond - steps  # d outcome / d step = outcome
    return torch.where((index == 0) | (index == head.levels - 1), beyond, found)
