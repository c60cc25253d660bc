"""Numbers in sentences."""

from __future__ import annotations

import math

from reprise.reproduction.statistics import ALPHA, Interval


def say_p(p: float) -> str:
    """A p-value with two digits, or as many as keep it on its side of 5 %."""
    if p < 0.001:
        return "p < 0.001"
    if p > 0.995:
        return "p = 1"
    texts = (f"{p:.{digits}g}" for digits in range(2, 18))
    return f"p = {next(t for t in texts if (float(t) <= ALPHA) == (p <= ALPHA))}"


def say_seeds(seeds: int | None) -> str:
    """How many seeds would decide."""
    return "no number of seeds up to 1000 would decide" if seeds is None else f"about {seeds} seeds in all would decide"


def say_mean(interval: Interval, tolerance: float) -> str:
    """A mean with its interval, to a tenth of the tolerance."""
    step = tolerance / 10 or interval.half_width or abs(interval.mean) / 1000
    text = f"{interval.mean:.6g}"
    if 1e-12 < step < 1e12:
        text = f"{interval.mean:.{max(0, math.ceil(-math.log10(step)))}f}"
    return text if interval.half_width is None else f"{text} ± {short(interval.half_width)}"


def short(value: float) -> str:
    """Two digits, more where an exponent would be needed for a usual size."""
    return f"{value:.0f}" if 99.5 <= abs(value) < 1e6 else f"{value:.2g}"
