"""The naive forecasts that a model has to beat: the last value, or that of the season before, and past changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from reprise.nn.series import SeriesScale

RESIDUALS = 999  # at most so many of a naive forecast; of more, as many evenly spaced ones in ascending order


def persistence_lag(lead: int) -> int:
    """How far before a step, `lead` after the last value seen, that value lies."""
    return lead


def seasonal_lag(season: int) -> Callable[[int], int]:
    """How far before a step the last value of the same time of the season lies: the least multiple from `lead` on."""
    return lambda lead: season * -(-lead // season)


def naive_residuals(levels: Tensor, lag: int, scale: SeriesScale) -> Tensor:
    """What the values of a training part (T,) are, relative to those `lag` before: ascending, at most RESIDUALS.

    Args:
        levels: (T,).
        lag: more than 0.
        scale: see `naive_scale`.

    Raises:
        ValueError: it has no two values so far apart.
    """
    if not 0 < lag < len(levels):
        raise ValueError(f"{len(levels)} values have no residuals at a lag of {lag}")
    found = scale.relative(levels[lag:], levels[:-lag]).sort().values
    if len(found) <= RESIDUALS:
        return found
    return found[torch.linspace(0, len(found) - 1, RESIDUALS, device=found.device).round().long()]


def naive_scale(scale: SeriesScale) -> SeriesScale:
    """By what naive forecasts are relative: ratios where the model's steps are log returns, changes elsewhere."""
    return replace(scale, difference="difference") if scale.difference == "none" else scale
