"""Scores of probabilistic forecasts, and the naive forecasts that a model has to beat.

A distribution is given relative to a value already seen (see SeriesScale.relative): what is measured there is brought
into the unit of the series by a factor a step. Shapes: N steps, L values of a distribution, M draws.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from reprise.metrics.crps import CRPS, crps_discrete, crps_ensemble
from reprise.metrics.forecasts import Coverage, MeanAbsoluteError
from reprise.metrics.regression import RootMeanSquaredError
from reprise.models.wavenet.forecast_grid import quantile
from reprise.nn.series import SeriesScale

LOW, HIGH = 0.1, 0.9  # ends of the 80 % interval
RESIDUALS = 999  # at most so many of a naive forecast; of more, as many evenly spaced ones in ascending order


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


def persistence_lag(lead: int) -> int:
    """How far before a step, `lead` after the last value seen, that value lies."""
    return lead


def seasonal_lag(season: int) -> Callable[[int], int]:
    """How far before a step the last value of the same time of the season lies: the least multiple from `lead` on."""
    return lambda lead: season * -(-lead // season)


def naive_residuals(levels: Tensor, lag: int, scale: SeriesScale) -> Tensor:
    """What the values of a training part (T,) are, relative to those `lag` before: ascending, at most RESIDUALS.

    Raises:
        ValueError: it has no two values so far apart.
    """
    if not 0 < lag < len(levels):
        raise ValueError(f"{len(levels)} values have no residuals at a lag of {lag}")
    found = relative_to(levels[lag:], levels[:-lag], scale).sort().values
    if len(found) <= RESIDUALS:
        return found
    return found[torch.linspace(0, len(found) - 1, RESIDUALS, device=found.device).round().long()]


def relative_to(levels: Tensor, before: Tensor, scale: SeriesScale) -> Tensor:
    """Values relative to earlier ones: ratios where the model's steps are log returns, changes elsewhere."""
    if scale.difference == "log":
        return levels.double() / before.double()
    return levels.double() - before.double()
