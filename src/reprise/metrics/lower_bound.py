"""Lower bounds on the log-likelihood of diffusion models (Sohl-Dickstein et al. 2015), higher is better."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from reprise.metrics.base import WeightedMean


class BoundBits(WeightedMean):
    """Mean of the lower bound K on log2 p(x) over examples, in bits.

    Args:
        divisor: parts of an example that the bound is divided by, such as pixels; 1 for bits an example.
    """

    unit: ClassVar[str] = "bits"
    higher_is_better: bool | None = True

    def __init__(self, divisor: int = 1) -> None:
        super().__init__()
        self.divisor = divisor

    def update(self, bound: Tensor) -> None:
        """Add examples; bound (B,) in nats."""
        if bound.ndim != 1:
            raise ValueError(f"expected one value an example, (B,); received {tuple(bound.shape)}")
        self.add_each(bound)

    def compute(self) -> Tensor:
        """Return bits, NaN when nothing was added."""
        return super().compute() / (math.log(2.0) * self.divisor)


class BoundGainBits(BoundBits):
    """Mean of K - L_null, what the bound has above the null model's log-likelihood, in bits (the paper's Table 1)."""


class StepTerms(Metric):
    """Mean KL term of each step, in bits an example.

    Args:
        steps: terms of an example.
    """

    version: ClassVar[int] = 1
    full_state_update: bool | None = False

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(steps, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("weight", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.total: Tensor
        self.weight: Tensor

    def update(self, terms: Tensor) -> None:
        """Add examples; terms (B, steps) in nats."""
        if terms.ndim != 2 or terms.shape[1] != len(self.total):
            raise ValueError(f"expected (B, {len(self.total)}) terms; received {tuple(terms.shape)}")
        self.total += terms.detach().to(self.total).sum(0)
        self.weight += len(terms)

    def compute(self) -> Tensor:
        """Return (steps,) bits, NaN when nothing was added."""
        return self.total / (self.weight * math.log(2.0))
