"""Between the values of a series in their own unit and the scaled steps in [-1, 1] that a model of sequences sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from reprise.config.errors import ConfigError

Difference = Literal["none", "difference", "log"]
"""What a step is: the value itself, its change x_t - x_{t-1}, or its log return log x_t - log x_{t-1}."""


@dataclass(frozen=True)
class SeriesScale:
    """How one series is scaled: a step s is (s - centre) / half in [-1, 1].

    Attributes:
        difference: what a step is.
        centre: middle of the range, in the unit of steps.
        half: half its width, more than 0.
    """

    difference: Difference
    centre: float
    half: float

    def __post_init__(self) -> None:
        if self.difference not in get_args(Difference):
            raise ConfigError(f"difference is {self.difference!r}. Expected one of {', '.join(get_args(Difference))}.")
        if not self.half > 0.0:
            raise ValueError(f"half is {self.half}. Expected more than 0")

    def steps(self, levels: Tensor) -> Tensor:
        """Steps, float64, of values (..., T): of the same length, one fewer where they are differences."""
        return differences(levels, self.difference)

    def scaled(self, steps: Tensor) -> Tensor:
        """Steps in [-1, 1], float32; what lies outside is clipped."""
        return ((steps.double() - self.centre) / self.half).clamp(-1.0, 1.0).float()

    def outside(self, steps: Tensor) -> int:
        """How many steps lie outside the range, and are clipped."""
        return int(((steps.double() - self.centre).abs() > self.half).sum())

    def unscaled(self, scaled: Tensor) -> Tensor:
        """Steps, float64, of scaled ones of any shape."""
        return self.centre + self.half * scaled.double()

    def relative(self, levels: Tensor, last: Tensor) -> Tensor:
        """What one step leads to, apart from where it began: values, changes, or ratios to the value before.

        Args:
            levels: values, any shape.
            last: the value before each.
        """
        if self.difference == "none":
            return levels.double()
        return levels.double() - last.double() if self.difference == "difference" else levels.double() / last.double()

    def outcome(self, scaled: Tensor) -> Tensor:
        """What `relative` would give, float64, of scaled steps of any shape; increases with them."""
        step = self.unscaled(scaled)
        return torch.exp(step) if self.difference == "log" else step

    def factor(self, last: Tensor) -> Tensor:
        """By what distances between outcomes are multiplied to be in the unit of the series, float64 as `last`."""
        return last.double() if self.difference == "log" else torch.ones_like(last, dtype=torch.float64)

    def path(self, scaled: Tensor, last: Tensor) -> Tensor:
        """Values, float64, that scaled steps (..., T) lead to one after the other from a value (...)."""
        return undo(self.unscaled(scaled), last, self.difference)


def differences(levels: Tensor, kind: Difference) -> Tensor:
    """Steps, float64, of values (..., T): themselves, or T - 1 changes.

    Raises:
        ValueError: a log return of a value that is not positive.
    """
    levels = levels.double()
    if kind == "none":
        return levels
    if kind == "difference":
        return levels.diff(dim=-1)
    if not (levels > 0.0).all():
        raise ValueError("log returns are of positive values only")
    return levels.log().diff(dim=-1)


def undo(steps: Tensor, first: Tensor, kind: Difference) -> Tensor:
    """Values (..., T), float64, of T steps after a value `first` (...); the inverse of `differences`."""
    if kind == "none":
        return steps.double()
    total = steps.double().cumsum(-1)
    first = first.double()[..., None]
    return first + total if kind == "difference" else first * torch.exp(total)
