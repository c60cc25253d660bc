"""Forecasts of values: error of a median, coverage of an interval, density."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from reprise.metrics.base import WeightedMean


class MeanAbsoluteError(WeightedMean):
    """MAE = mean |m - y|, in the unit of y; the median of a distribution has the least."""

    def update(self, predicted: Tensor, y: Tensor) -> None:
        """Add points: predictions (N,) and targets (N,)."""
        if predicted.shape != y.shape or y.ndim != 1:
            raise ValueError(f"expected one shape (N,); received {tuple(predicted.shape)} and {tuple(y.shape)}")
        self.add_each((predicted.double() - y.double()).abs())


class Coverage(WeightedMean):
    """Share of targets within their intervals, both ends included; as much as was promised is best."""

    higher_is_better: bool | None = None

    def update(self, low: Tensor, high: Tensor, y: Tensor) -> None:
        """Add points: ends of intervals and targets, (N,) each."""
        if not low.shape == high.shape == y.shape or y.ndim != 1:
            raise ValueError(f"expected one shape (N,); received {low.shape}, {high.shape} and {y.shape}")
        self.add_each(((low <= y) & (y <= high)).double())


class LogDensity(WeightedMean):
    """Mean log density of the targets in nats a value, the value being in its own unit."""

    unit: ClassVar[str] = "nats"
    higher_is_better: bool | None = True

    def update(self, log_density: Tensor) -> None:
        """Add values, (N,) in nats."""
        self.add_each(log_density)
