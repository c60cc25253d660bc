"""Axes of the page's pictures: from values to places, and round numbers to write beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Scale:
    """From values to places along a line.

    Attributes:
        low, high: values at the ends.
        start, end: places of the ends.
        log: whether equal ratios, not equal differences, are equally far.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Place of a value."""
        low, high, value = (
            (math.log(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, wanted: int) -> list[float]:
        """About so many round values within the ends."""
        if self.log:
            found = _log_ticks(self.low, self.high, (1, 2, 5)) or [self.low, self.high]
            return (
                found
                if len(found) <= 2 * wanted
                else _log_ticks(self.low, self.high, (1,))[:: len(found) // 3 // wanted or 1]
            )
        step = _round_step((self.high - self.low) / max(1, wanted))
        first = math.ceil(self.low / step - 1e-9)
        return [round(k * step, 12) for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


def fit(values: Sequence[float], start: float, end: float, log: bool = False, room: float = 0.06) -> Scale:
    """A scale that holds all values, with some room at both ends."""
    low, high = min(values), max(values)
    if log:
        ratio = (high / low) ** room if high > low else 1.5
        return Scale(low / ratio, high * ratio, start, end, True)
    more = (high - low) * room or abs(high) * 0.1 or 1.0
    return Scale(low - more, high + more, start, end)


def spans_decades(values: Sequence[float], ratio: float) -> bool:
    """Whether values are positive and so far apart that only a logarithmic axis shows the small ones."""
    return bool(values) and min(values) > 0 and max(values) / min(values) > ratio


def tick_texts(ticks: Sequence[float]) -> list[tuple[float, str]]:
    """Round values, each with its text, all with the same number of decimals where they are evenly spread."""
    steps = {round(b - a, 12) for a, b in pairwise(ticks)}
    if len(steps) == 1 and max(abs(t) for t in ticks) < 1e4:
        decimals = max(0, *(len(f"{t:.9f}".rstrip("0").partition(".")[2]) for t in ticks))
        return [(t, f"{t:.{decimals}f}".replace("-", "\u2212")) for t in ticks]
    return [(t, _short(t)) for t in ticks]


def _short(value: float) -> str:
    if abs(value) >= 1e4:
        for unit, word in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if abs(value) >= unit:
                return f"{value / unit:g}{word}".replace("-", "\u2212")
    return f"{value:.6g}".replace("-", "\u2212")


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999) if rough > 0 else 1.0


def _log_ticks(low: float, high: float, mantissas: Sequence[int]) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [m * 10.0**d for d in decades for m in mantissas if low <= m * 10.0**d <= high]
