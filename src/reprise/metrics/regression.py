"""Errors of predicted means, and densities of predicted distributions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from reprise.metrics.base import WeightedMean


class MeanSquaredError(WeightedMean):
    """MSE = mean (m - y)^2, in the squared unit of y."""

    def update(self, mean: Tensor, y: Tensor) -> None:
        """Add points: predicted means (N,) and targets (N,)."""
        if mean.shape != y.shape or y.ndim != 1:
            raise ValueError(f"expected means and targets of one shape (N,); received {mean.shape} and {y.shape}")
        self.add_each((mean.double() - y.double()).square())


class RootMeanSquaredError(MeanSquaredError):
    """RMSE, the root of the MSE over all points, in the unit of y."""

    def compute(self) -> Tensor:
        """Return the root of the mean, NaN when nothing was added."""
        return super().compute().sqrt()


class MeanNegativeLogLikelihood(WeightedMean):
    """MNLL = mean of log(2 pi v) / 2 + (m - y)^2 / (2 v), v being the predicted variance of y, noise included; nats."""

    unit = "nats"

    def update(self, mean: Tensor, variance: Tensor, y: Tensor) -> None:
        """Add points: predicted means, variances and targets, (N,) each."""
        if not mean.shape == variance.shape == y.shape or y.ndim != 1:
            raise ValueError(f"expected one shape (N,); received {mean.shape}, {variance.shape} and {y.shape}")
        v = variance.double()
        self.add_each(0.5 * torch.log(2.0 * math.pi * v) + (mean.double() - y.double()).square() / (2.0 * v))
