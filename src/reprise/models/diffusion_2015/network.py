"""Networks of the small experiments (Appendix D.1 of the paper): readouts for each step, all else is shared."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn


class StepReadout(nn.Module):
    """A linear layer with weights of its own for each step t = 1 ... T, zero at first.

    Args:
        steps: T.
        inputs: numbers it reads.
        outputs: numbers it gives.
        bias: whether a constant is added.
    """

    def __init__(self, steps: int, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(steps, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(steps, outputs)) if bias else None

    def forward(self, hidden: Tensor, t: Tensor) -> Tensor:
        """Read out each row with the weights of its step.

        Args:
            hidden: (B, inputs).
            t: (B,) steps.

        Returns:
            (B, outputs). Rows of a step that stand together, as many for each step, share one product of matrices.
        """
        distinct, counts = torch.unique_consecutive(t, return_counts=True)
        size = int(counts[0])
        if not bool((counts == size).all()):
            distinct, size = t, 1
        which = distinct - 1
        read = hidden.reshape(len(which), size, -1) @ self.weight[which]
        if self.bias is not None:
            read = read + self.bias[which][:, None]
        return read.reshape(len(t), -1)


class RadialBasisNetwork(nn.Module):
    """Normalised radial basis functions that give mean and variance of a Gaussian reverse step (Appendix D.1.1).

    phi_k(x) = exp(-|x - c_k|^2 / (2 w_k^2)) / sum_j exp(-|x - c_j|^2 / (2 w_j^2)); since they sum to one, a readout
    needs no constant.

    Args:
        dims: D, of a data point.
        steps: T.
        hidden: radial basis functions.
        width: w_k at first; it is learned.
    """

    def __init__(self, dims: int, steps: int, hidden: int = 16, width: float = 0.5) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(hidden, dims))
        self.log_widths = nn.Parameter(torch.full((hidden,), math.log(width)))
        self.mean = StepReadout(steps, hidden, dims, bias=False)
        self.variance = StepReadout(steps, hidden, dims, bias=False)

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Raw mean and raw variance of p(x_{t-1} | x_t), both (B, D), for x (B, D) and t (B,) in 1 ... T."""
        distance = (x[:, None] - self.centres).square().sum(2)
        basis = torch.softmax(-0.5 * distance * (-2.0 * self.log_widths).exp(), dim=1)
        return self.mean(basis, t), self.variance(basis, t)


class SigmoidPerceptron(nn.Module):
    """A perceptron with sigmoid units that gives the rates of a binomial reverse step (Appendix D.1.2).

    Args:
        dims: D, bits of a sequence.
        steps: T.
        hidden: units of a hidden layer.
        layers: hidden layers.
    """

    def __init__(self, dims: int, steps: int, hidden: int = 50, layers: int = 3) -> None:
        super().__init__()
        sizes = [dims] + [hidden] * layers
        self.hidden = nn.ModuleList(_sigmoid_layer(i, o) for i, o in itertools.pairwise(sizes))
        self.readout = StepReadout(steps, hidden, dims)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Log-odds, or what is added to them, (B, D) for x (B, D) and t (B,) in 1 ... T."""
        for layer in self.hidden:
            x = torch.sigmoid(layer(x))
        return self.readout(x, t)


def _sigmoid_layer(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer before sigmoid units, whose slope is at most 1/4."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_normal_(layer.weight, gain=4.0)
    nn.init.zeros_(layer.bias)
    return layer
