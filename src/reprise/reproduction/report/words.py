"""Figures as text: with the digits the paper prints, with interval, sign and unit."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from reprise.reproduction.entry import Entry
from reprise.reproduction.paper import Spread, Sure, Target, Tolerance, number
from reprise.reproduction.standing import Ours, Standing

SURE: dict[Sure, tuple[str, str]] = {
    "paper": ("seen in the paper", "The figure was read in the paper."),
    "reference": ("second-hand", "The figure was seen elsewhere: in code, another paper or a digest."),
    "memory": ("recalled", "The figure is recalled; nobody looked it up."),
    "derived": ("derived", "The figure was computed, from others that the paper prints or from its data."),
}
_SPREAD = {
    "std": "standard deviation",
    "sem": "standard error",
    "ci95": "95 % interval",
    "ci": "interval of unstated level",
    "unknown": "meaning not stated",
}
_DIRECTION = {
    "lower": ("↓", "lower is better"),
    "higher": ("↑", "higher is better"),
    "match": ("", "neither is better"),
}
_MINUS = "\u2212"


def arrow(direction: str) -> tuple[str, str]:
    """The arrow behind a column's name, and what it says."""
    return _DIRECTION.get(direction, ("", ""))


def digits(target: Target) -> int | None:
    """Decimals of our figures: one more than printed, so that a difference within the last digit shows."""
    return None if target.digits is None else target.digits + 1


def value(number_: float, decimals: int | None) -> str:
    """A number with so many decimals, or with four digits; a real minus, and words for what is no number."""
    if math.isnan(number_):
        return "not a number"
    if math.isinf(number_):
        return "∞" if number_ > 0 else f"{_MINUS}∞"
    return (f"{number_:.4g}" if decimals is None else f"{number_:.{decimals}f}").replace("-", _MINUS)


def interval(ours: Ours, decimals: int | None, unit: str = "") -> str:
    """Mean and half width of its 95 % interval; the mean alone for one seed."""
    if decimals is None and ours.half_width and math.isfinite(ours.half_width):
        decimals = min(8, max(0, 1 - math.floor(math.log10(ours.half_width))))
    width = "" if ours.half_width is None else f" ± {value(ours.half_width, decimals)}"
    return f"{value(ours.mean, decimals)}{width}{unit}"


def signed(difference: float, decimals: int | None) -> str:
    """A difference with its sign."""
    return ("+" if difference > 0 else "") + value(difference, decimals)


def share(difference: float, reported: float | None) -> str:
    """A difference as percentage of the reported figure; "" where that says nothing."""
    if not reported or not math.isfinite(difference):
        return ""
    return f"{signed(100 * difference / abs(reported), 1)} %"


def spread(found: Spread | None) -> str:
    """What the figure behind a ± means."""
    if found is None:
        return "none printed"
    over = "" if found.over == "unknown" else f" over {found.over}"
    count = f", n = {found.n}" if found.n is not None else ""
    return f"± {number(found.value, None)}: {_SPREAD[found.kind]}{over}{count}"


def tolerance(found: Tolerance | None, unit: str = "") -> str:
    """A tolerance with its reason."""
    return "" if found is None else f"± {found.value:.4g}{unit}: {found.reason}"


def p_value(p: float | None) -> str:
    """A p-value as it is printed."""
    return "" if p is None else "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def duration(seconds: float | None) -> str:
    """Seconds as a reader says them."""
    if seconds is None:
        return ""
    for limit, unit, word in ((86400 * 2, 86400, "d"), (3600 * 2, 3600, "h"), (120, 60, "min")):
        if seconds >= limit:
            return f"{seconds / unit:,.1f} {word}" if seconds / unit < 10 else f"{seconds / unit:,.0f} {word}"
    return f"{seconds:.0f} s"


def size(count: float | None) -> str:
    """Bytes as a reader says them."""
    if not count:
        return ""
    for unit, word in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {word}"
    return f"{count:.0f} B"


def plain(found: Any) -> str:
    """A value of a config as one writes it."""
    if isinstance(found, str):
        return found or '""'
    try:
        return json.dumps(found, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(found)


def moment(iso: str) -> str:
    """An ISO 8601 time as date and time of day."""
    date, _, rest = iso.partition("T")
    zone = " UTC" if rest.endswith(("Z", "+00:00")) else ""
    return f"{date} {rest[:5]}{zone}" if rest else iso


def device_seconds(runs: Iterable[Entry]) -> float | None:
    """Device time of runs and of their measurements; None where no record says."""
    found = []
    for run in {(r.id, r.directory): r for r in runs}.values():
        found += [run.cost.get("device_seconds"), *(e.cost.get("device_seconds") for e in run.evaluations)]
    known = [float(s) for s in found if isinstance(s, (int, float))]
    return sum(known) if known else None


def row_runs(standings: Iterable[Standing]) -> list[Entry]:
    """The runs a row of a table rests on, stand-ins too, each once, by seed."""
    found: dict[tuple[str, Any], Entry] = {}
    for standing in standings:
        runs = [*standing.runs, *(standing.standin.runs if standing.standin else ())]
        found |= {(r.id, r.directory): r for r in runs}
    return sorted(found.values(), key=lambda r: (r.experiment or r.name, r.seed, r.id, str(r.directory)))
