"""Tests of means over seeds. Values lie along the last axis (seeds), so that a million samples are one call.

All tests are Student's t-tests. Samples without scatter are decided exactly: p is 0 where the mean is beyond the limit
and 1 where it is at the limit or short of it. Without scatter means that the values differ by rounding only, measured
against the size of the numbers that went in: the difference of two seeds that gain 0.2 each may end in another bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

ALPHA = 0.05
# Of the largest number that entered; a few operations leave no more than that.
_ROUNDING = 16 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its t interval.

    Attributes:
        n: values.
        mean: of them.
        sd: standard deviation (n - 1); None for one value.
        half_width: of the interval; None for one value.
    """

    n: int
    mean: float
    sd: float | None
    half_width: float | None


@dataclass(frozen=True)
class Tost:
    """Two one-sided tests.

    Attributes:
        p_low: against a mean at or below the lower end.
        p_high: against a mean at or above the upper end.
        p: of equivalence, the larger of both.
    """

    p_low: Floats
    p_high: Floats
    p: Floats


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean of the values and its t interval.

    Raises:
        ValueError: no values, a value that is not finite, or a level outside (0, 1).
    """
    from scipy.special import stdtrit

    if not 0 < level < 1:
        raise ValueError(f"level is {level}. Expected a number between 0 and 1.")
    x = _finite(values, least=1)
    n = x.shape[-1]
    mean, sd, unit = _moments(x, 0.0, None)
    centre = float(mean * unit)
    if n == 1:
        return Interval(1, centre, None, None)
    half_width = stdtrit(n - 1, 0.5 + level / 2) * sd / np.sqrt(n)
    return Interval(n, centre, float(sd * unit), float(half_width * unit))


def p_above(values: ArrayLike, limit: float = 0.0, size: ArrayLike | None = None) -> Floats:
    """Test whether the mean lies above a limit.

    Args:
        values: [..., seeds], at least two seeds.
        limit: mean under the null hypothesis, at most.
        size: largest number that the values were computed from, where they are differences: sets what rounding can do.

    Returns:
        p, [...]: small where the mean lies above.

    Raises:
        ValueError: fewer than two values, or one that is not finite.
    """
    from scipy.special import stdtr

    x = _finite(values, least=2)
    n = x.shape[-1]
    gap, sd, _ = _moments(x, limit, size)
    scattered = sd > 0
    t = gap / np.where(scattered, sd, 1.0) * np.sqrt(n)
    return np.asarray(np.where(scattered, stdtr(n - 1, -t), np.where(gap > _ROUNDING, 0.0, 1.0)))


def p_below(values: ArrayLike, limit: float = 0.0, size: ArrayLike | None = None) -> Floats:
    """Test whether the mean lies below a limit; all else as of `p_above`."""
    return p_above(-np.asarray(values, dtype=np.float64), -limit, size)


def tost(values: ArrayLike, reported: float, tolerance: float, size: ArrayLike | None = None) -> Tost:
    """Test whether the mean is equivalent to a figure, less than the tolerance away from it.

    Args:
        values: [..., seeds], at least two seeds.
        reported: the figure.
        tolerance: largest difference, not negative.
        size: as of `p_above`.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}. Expected a number of at least 0.")
    p_low = p_above(values, reported - tolerance, size)
    p_high = p_below(values, reported + tolerance, size)
    return Tost(p_low, p_high, np.maximum(p_low, p_high))


def paired_above(a: ArrayLike, b: ArrayLike, limit: float = 0.0) -> Floats:
    """Test whether the mean of a - b over paired seeds lies above a limit."""
    difference, size = _paired(a, b)
    return p_above(difference, limit, size)


def paired_tost(a: ArrayLike, b: ArrayLike, margin: float) -> Tost:
    """Test whether the mean of a - b over paired seeds is less than the margin away from 0."""
    difference, size = _paired(a, b)
    return tost(difference, 0.0, margin, size)


def slopes(rows: ArrayLike, xs: Sequence[float]) -> Floats:
    """Least-squares slope over x for each seed.

    Args:
        rows: [..., x, seeds].
        xs: where the rows lie; at least two differ.

    Returns:
        [..., seeds].
    """
    return np.einsum("...xs,x->...s", np.asarray(rows, dtype=np.float64), _slope_weights(xs))


def p_rising(rows: ArrayLike, xs: Sequence[float]) -> Floats:
    """Test over seeds whether the slope lies above 0; `rows` and `xs` as of `slopes`."""
    weights = _slope_weights(xs)
    size = np.abs(np.asarray(rows, dtype=np.float64)).max((-2, -1)) * np.abs(weights).sum()
    return p_above(slopes(rows, xs), 0.0, size)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values after Holm: whoever rejects those up to alpha errs in any of them with at most alpha."""
    count = len(p_values)
    order = sorted(range(count), key=lambda i: p_values[i])
    adjusted = [0.0] * count
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (count - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def _finite(values: ArrayLike, least: int) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim == 0 or x.shape[-1] < least:
        raise ValueError(f"{0 if x.ndim == 0 else x.shape[-1]} values. Expected at least {least}.")
    if not np.isfinite(x).all():
        raise ValueError("a value is not finite. Count diverged runs apart.")
    return x


def _moments(x: Floats, limit: float, size: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    """Mean minus limit and standard deviation, both in a unit (a power of two) in which nothing can overflow."""
    largest = np.maximum(np.abs(x).max(-1), abs(limit))
    if size is not None:
        largest = np.maximum(largest, size)
    unit = np.ldexp(1.0, np.frexp(largest)[1] - 1)
    y = x / unit[..., None]
    constant = np.ptp(y, axis=-1) <= _ROUNDING
    spread = y.std(-1, ddof=1) if x.shape[-1] > 1 else np.zeros_like(unit)
    mean = np.where(constant, y[..., 0], y.mean(-1))
    return mean - limit / unit, np.where(constant, 0.0, spread), np.asarray(unit)


def _paired(a: ArrayLike, b: ArrayLike) -> tuple[Floats, Floats]:
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if left.shape != right.shape:
        raise ValueError(f"{left.shape} and {right.shape} values are no pairs. Expected the same seeds in both.")
    return left - right, np.maximum(np.abs(left), np.abs(right)).max(-1)


def _slope_weights(xs: Sequence[float]) -> Floats:
    centred = np.asarray(xs, dtype=np.float64) - np.mean(xs)
    squares = float(centred @ centred)
    if not squares > 0:
        raise ValueError(f"x is {list(xs)}. A slope needs at least two places that differ.")
    return centred / squares
