"""What every metric of the house has in common."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric


class WeightedMean(Metric):
    """Mean of per-clip values, weighted (by frames where the definition averages over frames).

    The state is a float64 sum and weight, so the order of clips and the number of processes do not matter.

    Attributes:
        version: protocol version; raised when the definition changes.
        unit: unit of the value, "" for none.
    """

    version: ClassVar[int] = 1
    unit: ClassVar[str] = ""
    higher_is_better: bool | None = False
    is_differentiable: bool | None = False
    full_state_update: bool | None = False

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("weight", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.total: Tensor
        self.weight: Tensor

    def add(self, value: float | Tensor, weight: float = 1.0) -> None:
        """Add one value."""
        self.total += torch.as_tensor(value, dtype=torch.float64, device=self.total.device) * weight
        self.weight += weight

    def add_each(self, values: Tensor) -> None:
        """Add one value an example, (B,), each of weight 1."""
        self.total += values.detach().to(self.total).sum()
        self.weight += len(values)

    def compute(self) -> Tensor:
        """Return the weighted mean, NaN when nothing was added."""
        return self.total / self.weight


class Mean(WeightedMean):
    """Weighted mean of plain values, such as a loss."""

    def update(self, value: float | Tensor, weight: float = 1.0) -> None:
        """Add one value with its weight."""
        self.add(value, weight)


def same_shape(predicted: Tensor, target: Tensor) -> None:
    """Raise ValueError unless both are single waveforms of equal length."""
    if predicted.ndim != 1 or predicted.shape != target.shape:
        raise ValueError(
            f"expected two waveforms (T,) of equal length; received {tuple(predicted.shape)}, {tuple(target.shape)}"
        )
