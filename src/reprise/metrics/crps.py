"""The continuous ranked probability score of forecasts (Matheson and Winkler 1976; Gneiting and Raftery 2007)."""

from __future__ import annotations

import torch
from torch import Tensor

from reprise.metrics.base import WeightedMean


def crps_discrete(probabilities: Tensor, values: Tensor, observed: Tensor) -> Tensor:
    """CRPS of distributions over a grid of values, exactly: the integral of (F(u) - 1{u >= x})^2 du.

    F is constant between two values, so the integral is a sum over their gaps; x may lie anywhere, off the grid too.

    Args:
        probabilities: (..., L), which sum to 1.
        values: (L,), increasing.
        observed: x, (...).

    Returns:
        (...), float64, in the unit of the values.

    Raises:
        ValueError: shapes do not fit, or the values do not increase.
    """
    if values.ndim != 1 or not len(values) or not bool((values.diff() > 0).all()):
        raise ValueError("expected increasing values (L,)")
    if probabilities.shape[-1:] != values.shape or probabilities.shape[:-1] != observed.shape:
        raise ValueError(
            f"expected probabilities (..., {len(values)}) of values observed (...); received "
            f"{tuple(probabilities.shape)} and {tuple(observed.shape)}"
        )
    v, x = values.double(), observed.double()[..., None]
    mass = probabilities.double().cumsum(-1)[..., :-1]
    width = v.diff()
    before = torch.minimum((x - v[:-1]).clamp(min=0.0), width)  # of each gap, what lies below x
    inside = (mass.square() * before + (1.0 - mass).square() * (width - before)).sum(-1)
    outside = (v[0] - x).clamp(min=0.0) + (x - v[-1]).clamp(min=0.0)
    return inside + outside[..., 0]


def crps_ensemble(draws: Tensor, observed: Tensor) -> Tensor:
    """CRPS estimated from draws without bias: mean |X_i - x| - sum_{i < j} |X_i - X_j| / (M (M - 1)).

    The fair estimator (Ferro 2014): its mean over draws is the score of the distribution drawn from, for any M.

    Args:
        draws: (..., M), M at least 2.
        observed: x, (...).

    Returns:
        (...), float64, in the unit of the draws; may be below 0.

    Raises:
        ValueError: shapes do not fit, or there are fewer than two draws.
    """
    count = draws.shape[-1]
    if draws.shape[:-1] != observed.shape or count < 2:
        raise ValueError(
            "expected two or more draws (..., M) of values observed (...); received "
            f"{tuple(draws.shape)} and {tuple(observed.shape)}"
        )
    x = draws.double().sort(-1).values
    # of the sorted draws the i-th is larger than i others and smaller than M - 1 - i
    weight = 2.0 * torch.arange(count, device=x.device, dtype=torch.float64) - (count - 1)
    spread = (weight * x).sum(-1) / (count * (count - 1))
    return (x - observed.double()[..., None]).abs().mean(-1) - spread


class CRPS(WeightedMean):
    """Mean CRPS over all values that were forecast, in their unit."""

    def update(self, scores: Tensor) -> None:
        """Add scores, any shape; see `crps_discrete` and `crps_ensemble`."""
        self.add_each(scores.flatten())
