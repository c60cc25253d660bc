"""One series that is cut in time and scaled by its training part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reprise.config.errors import ConfigError, DataError
from reprise.data.series.columns import Column
from reprise.nn.series import Difference, SeriesScale


@dataclass(frozen=True)
class Parts:
    """How series are cut and scaled; see SeriesSequences.

    Attributes:
        difference: what a step is.
        tail, margin: of the range.
        val, test: sizes of the parts.
    """

    difference: Difference
    tail: float
    margin: float
    val: float
    test: float


@dataclass(frozen=True, eq=False)
class Channel:
    """A series.

    Attributes:
        name: of the series.
        audio: its steps, scaled, (T,) float32 in [-1, 1].
        levels: its values after each step, (T,) float64, in the file's unit.
        scale: between the two.
        points: steps of each part, by name.
        ends: where each part ends.
        clipped: steps of each part outside the range, and clipped to it.
    """

    name: str
    audio: Tensor
    levels: Tensor
    scale: SeriesScale
    points: dict[str, int]
    ends: dict[str, int]
    clipped: dict[str, int]

    def continued(self, name: str, values: np.ndarray) -> Channel:
        """Other values (N,) of the same kind, on this channel's scale: one part, `given`.

        Raises:
            DataError: there are too few, or one that has no log return.
        """
        levels, steps = _steps(name, values, self.scale.difference)
        if len(steps) < 1:
            raise DataError(f"{name} has {len(values)} values. Expected two or more, to have a step to continue.")
        points = {"given": len(steps)}
        scaled, clipped = self.scale.scaled(steps), {"given": self.scale.outside(steps)}
        return Channel(name, scaled, levels, self.scale, points, points, clipped)

    def complaint(self) -> str:
        """How many steps of which part are clipped, for a warning; empty where none is."""
        if not any(self.clipped.values()):
            return ""
        low, high = self.scale.centre - self.scale.half, self.scale.centre + self.scale.half
        found = ", ".join(f"{count} of {self.points[part]} in {part}" for part, count in self.clipped.items())
        return f"{self.name}: steps outside the range of training, {low:g} to {high:g}, are clipped to it: {found}."


def part_size(key: str, size: float, points: int) -> int:
    """Points of a part: a share of all below 1, else a whole number.

    Raises:
        ConfigError: it is neither.
    """
    if size <= 0.0 or (size >= 1.0 and size != int(size)):
        raise ConfigError(f"{key} is {size}. Expected a share between 0 and 1, or a whole number of points.")
    return max(1, round(size * points)) if size < 1.0 else int(size)


def open_channel(column: Column, parts: Parts) -> Channel:
    """Cut a series and scale it.

    Raises:
        DataError: it is too short or constant, or has a log return without a positive value.
    """
    count = len(column.values)
    val, test = part_size("data.val", parts.val, count), part_size("data.test", parts.test, count)
    levels, steps = _steps(column.name, column.values, parts.difference)
    train = len(steps) - val - test
    if train < 2:
        raise DataError(
            f"{column.name} has {count} points, {val} for validation and {test} for test. Expected some to train on: "
            "lower data.val and data.test."
        )
    scale = fit_scale(column.name, steps[:train], parts)
    points = {"train": train, "val": val, "test": test}
    ends = {"train": train, "val": train + val, "test": len(steps)}
    clipped = {part: scale.outside(steps[ends[part] - points[part] : ends[part]]) for part in points}
    return Channel(column.name, scale.scaled(steps), levels, scale, points, ends, clipped)


def fit_scale(name: str, steps: Tensor, parts: Parts) -> SeriesScale:
    """The range of training steps (N,) without its tails, widened.

    Raises:
        DataError: all steps are equal.
    """
    low, high = np.quantile(steps.numpy(), [parts.tail, 1.0 - parts.tail])
    if low == high:  # most steps are equal: the tails are all there is
        low, high = steps.numpy().min(), steps.numpy().max()
    if low == high:
        raise DataError(f"{name} is constant in its training part, so that there is no range to scale it by.")
    return SeriesScale(parts.difference, float(low + high) / 2.0, float(high - low) / 2.0 * (1.0 + parts.margin))


def _steps(name: str, values: np.ndarray, difference: Difference) -> tuple[Tensor, Tensor]:
    """Values (T,) after each step, and the steps (T,)."""
    levels = torch.from_numpy(np.array(values, dtype=np.float64))
    if difference == "log" and not bool((levels > 0.0).all()):
        raise DataError(f"{name} has values that are not positive, so that it has no log returns: data.difference.")
    scale = SeriesScale(difference, 0.0, 1.0)
    steps = scale.steps(levels)
    return levels[len(levels) - len(steps) :], steps
