"""Forecasts of values: error of a median, coverage of an interval, density, and all scores of a forecast together.

A distribution may be given relative to a value already seen: what is measured there is brought into the unit of the
series by a factor a step. Shapes: N steps, L cells of a distribution, M draws.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.metrics.base import WeightedMean
from reprise.metrics.crps import CRPS, crps_discrete, crps_ensemble
from reprise.metrics.regression import RootMeanSquaredError

LOW, HIGH = 0.1, 0.9  # ends of the 80 % interval


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
    """Mean log density of the targets in nats a value, the value being in its own unit.

    A target outside the cells of a distribution has the density of its tail (see `log_density_of_cells`); version 1
    gave it that of the outermost cell.
    """

    version: ClassVar[int] = 2
    unit: ClassVar[str] = "nats"
    higher_is_better: bool | None = True

    def update(self, log_density: Tensor) -> None:
        """Add values, (N,) in nats."""
        self.add_each(log_density)


def quantile(probability: Tensor, edges: Tensor, share: float) -> Tensor:
    """Where the distribution function reaches a share, the mass of each cell being spread over it evenly.

    Args:
        probability: (N, L).
        edges: (L + 1,), increasing.
        share: between 0 and 1.

    Returns:
        (N,) float64.
    """
    reached = F.pad(probability.double().cumsum(-1), (1, 0))
    wanted = (share * reached[:, -1:]).contiguous()
    cell = (torch.searchsorted(reached.contiguous(), wanted) - 1).clamp(0, probability.shape[-1] - 1)
    below, mass = reached.gather(1, cell), probability.double().gather(1, cell)
    part = ((wanted - below) / mass.clamp(min=1e-300)).clamp(0.0, 1.0)[:, 0]
    low, high = edges.double()[cell[:, 0]], edges.double()[cell[:, 0] + 1]
    return low + part * (high - low)


def log_density_of_cells(log_mass: Tensor, edges: Tensor, index: Tensor, observed: Tensor) -> Tensor:
    """Log density of values, of distributions that are masses of cells.

    The mass of a cell is spread over it evenly. That of an outermost cell, which has all that lies beyond, falls off
    exponentially from its inner edge on, by its width: a density over all values, whose integral is 1.

    Args:
        log_mass: (N,), of the cell of each value.
        edges: (L + 1,), increasing.
        index: cell of each value, (N,) int64; of one that lies outside, the outermost.
        observed: the values, (N,).

    Returns:
        (N,) float64.
    """
    edges, x = edges.double(), observed.double()
    width = edges.diff()[index]
    below = torch.where(index == 0, edges[1] - x, 0.0)
    above = torch.where(index == len(edges) - 2, x - edges[-2], 0.0)
    return log_mass.double() - width.log() - (below.clamp(min=0.0) + above.clamp(min=0.0)) / width


class ForecastScores(nn.Module):
    """CRPS, RMSE of the mean, MAE of the median and coverage of the central 80 %, in the unit of the series."""

    def __init__(self) -> None:
        super().__init__()
        self.crps = CRPS()
        self.rmse = RootMeanSquaredError()
        self.mae = MeanAbsoluteError()
        self.coverage80 = Coverage()

    def named(self) -> dict[str, CRPS | RootMeanSquaredError | MeanAbsoluteError | Coverage]:
        """The metrics by name."""
        return {"crps": self.crps, "rmse": self.rmse, "mae": self.mae, "coverage80": self.coverage80}

    def add_cells(self, probability: Tensor, values: Tensor, edges: Tensor, observed: Tensor, factor: Tensor) -> None:
        """Add distributions over cells.

        Args:
            probability: (N, L).
            values, edges: of the cells, (L,) and (L + 1,), increasing.
            observed: (N,).
            factor: (N,), from these numbers to the unit of the series.
        """
        ends = [quantile(probability, edges, share) for share in (LOW, 0.5, HIGH)]
        self._add(crps_discrete(probability, values, observed), probability @ values, ends, observed, factor)

    def add_residuals(self, residuals: Tensor, observed: Tensor, factor: Tensor) -> None:
        """Add N steps that have one distribution in common: residuals (M,) of equal mass; observed and factor (N,)."""
        values, counts = residuals.unique(return_counts=True)
        mass = (counts / len(residuals)).double().expand(len(observed), -1)
        shares = torch.tensor([LOW, 0.5, HIGH], dtype=torch.float64, device=residuals.device)
        ends = [end.expand(len(observed)) for end in residuals.quantile(shares)]
        mean = residuals.mean().expand(len(observed))
        self._add(crps_discrete(mass, values, observed), mean, ends, observed, factor)

    def add_draws(self, draws: Tensor, observed: Tensor) -> None:
        """Add draws (N, M) of values (N,), both in the unit of the series."""
        shares = torch.tensor([LOW, 0.5, HIGH], dtype=torch.float64, device=draws.device)
        ends = list(draws.double().quantile(shares, -1))
        self._add(crps_ensemble(draws, observed), draws.double().mean(-1), ends, observed, torch.ones_like(observed))

    def _add(self, crps: Tensor, mean: Tensor, ends: list[Tensor], observed: Tensor, factor: Tensor) -> None:
        low, median, high = ends
        self.crps.update(crps * factor)
        self.rmse.update(mean * factor, observed * factor)
        self.mae.update(median * factor, observed * factor)
        self.coverage80.update(low, high, observed)
