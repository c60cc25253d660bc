"""Scaling of inputs and targets, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from reprise.config.errors import ConfigError

Kind = Literal["none", "centre", "standard", "unit"]


@dataclass(frozen=True, eq=False)
class Scaling:
    """An affine map of each column: scaled = (raw - shift) / scale.

    Attributes:
        shift, scale: (D,), or () for one column.
    """

    shift: np.ndarray
    scale: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Scale values (N, D) or (N,)."""
        scaled: np.ndarray = (values - self.shift) / self.scale
        return scaled


def fit_scaling(values: np.ndarray, kind: Kind) -> Scaling:
    """Choose the map by values (N, D) or (N,).

    Args:
        values: those that decide.
        kind: none; centre, to mean 0; standard, to mean 0 and population standard deviation 1; unit, so that the
            smallest is -1 and the largest 1. A constant column is only shifted.

    Raises:
        ConfigError: an unknown kind.
    """
    if kind not in get_args(Kind):
        raise ConfigError(f"scaling {kind!r} is unknown. Expected one of {', '.join(get_args(Kind))}.")
    one, mean = np.ones(values.shape[1:]), values.mean(0)
    if kind == "none":
        return Scaling(0.0 * one, one)
    if kind == "centre":
        return Scaling(mean, one)
    low, high = values.min(0), values.max(0)
    if kind == "standard":
        shift, scale = mean, values.std(0)
    else:
        shift, scale = (low + high) / 2.0, (high - low) / 2.0
    return Scaling(shift, np.where(high > low, scale, 1.0))
