"""The time column of a file: what its cells say, and whether lines are as far apart as those of a series have to be."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np

from reprise.config.errors import DataError

log = logging.getLogger(__name__)

Gaps = Literal["refuse", "accept", "forward_fill"]
"""What becomes of missing lines: an error; nothing, the lines are taken for equally spaced; the last values again."""

KNOWN = "numbers, 2020-1-5, 2020/01/05, 2020-01, 2020-Q1, 20200105 and 2020-01-05 12:30[:15][Z or +01:00]"
_DAY = r"(?P<year>\d{4})(?:(?P<sign>[-/])(?P<month>\d{1,2})(?:(?P=sign)(?P<day>\d{1,2}))?)?"
_HOUR = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:\.\d+)?))?\s?(?P<zone>Z|[+-]\d{2}:?\d{2})?"
_TIME = re.compile(rf"{_DAY}(?:[T ]{_HOUR})?")
_QUARTER = re.compile(r"(?P<year>\d{4})[- ]?Q(?P<quarter>[1-4])")
_COMPACT = re.compile(r"(?P<year>1[89]\d\d|2[01]\d\d)(?P<month>\d\d)(?P<day>\d\d)")
_SHORT, _LONG = 0.5, 1.5  # of the usual distance: months have 28 to 31 days, years a day more at times
_UNITS = {"days": 86_400e6, "hours": 3600e6, "minutes": 60e6, "seconds": 1e6}


def line_repeats(path: Path, cells: Sequence[str], first: int, gaps: Gaps) -> np.ndarray:
    """How often each line stands in the series (N,): once, or with `forward_fill` until the next one is due.

    Lines are one distance apart where each comes half to one and a half times the usual distance after the one before.

    Args:
        path: of the file, for messages.
        cells: of the time column.
        first: number of their first line.
        gaps: what becomes of missing lines.

    Raises:
        DataError: a time is of no known form, they do not ascend, or a gap is to be refused.
    """
    cells = [cell.strip() for cell in cells]
    times, are_dates = _read_times(path, cells, first)
    distances = np.diff(times).astype(np.float64)
    if (back := np.flatnonzero(distances <= 0)).size:
        i = int(back[0])
        raise DataError(
            f"{path}, line {first + i + 1}: the time {cells[i + 1]} is not after {cells[i]}. Sort the file by time, "
            "and keep one line of each."
        )
    repeats = np.ones(len(cells), dtype=np.int64)
    if gaps == "accept" or len(distances) < 2:
        return repeats
    middle = np.sort(distances)[(len(distances) - 1) // 2]
    usual = float(distances[(distances > _SHORT * middle) & (distances < _LONG * middle)].mean())
    early, late = distances <= _SHORT * usual, distances >= _LONG * usual
    if (wrong := np.flatnonzero(early | late if gaps == "refuse" else early)).size:
        i = int(wrong[0])
        fill = " Add what is missing, or repeat the line before with data.gaps=forward_fill." if late[i] else ""
        raise DataError(
            f"{path}, line {first + i + 1}: the time {cells[i + 1]} is {_told(distances[i], are_dates)} after "
            f"{cells[i]}. Expected about {_told(usual, are_dates)}, as between most lines.{fill} Where lines count as "
            "equally spaced whatever their times, as trading days do, set data.gaps=accept."
        )
    repeats[:-1] = np.where(late, np.round(distances / usual), 1)
    if late.any():
        log.warning("%s: %d gaps are filled by %d repeated lines", path, late.sum(), repeats.sum() - len(repeats))
    return repeats


def _read_times(path: Path, cells: Sequence[str], first: int) -> tuple[np.ndarray, bool]:
    """Times (N,) as numbers, or as microseconds where they are dates; and which of both."""
    if all(map(_COMPACT.fullmatch, cells)) and all(_microseconds(cell, _COMPACT) is not None for cell in cells):
        return np.array([_microseconds(cell, _COMPACT) for cell in cells], dtype=np.int64), True
    try:
        numbers = np.array([float(cell) for cell in cells])
        if np.isfinite(numbers).all():
            return numbers, False
    except ValueError:
        pass
    found = []
    for number, cell in enumerate(cells, first):
        form = _QUARTER if _QUARTER.fullmatch(cell) else _TIME
        time = _microseconds(cell, form)
        if time is None:
            raise DataError(
                f"{path}, line {number}: {cell!r} is no time of a known form. Known are {KNOWN}. Rewrite the column, "
                "or leave it out of the file."
            )
        found.append(time)
    zones = [bool(match and match["zone"]) for match in map(_TIME.fullmatch, cells)]
    if any(zones) and not all(zones):
        raise DataError(f"{path}, line {first + zones.index(not zones[0])}: some times have a zone and others none.")
    return np.array(found, dtype=np.int64), True


def _microseconds(cell: str, form: re.Pattern[str]) -> int | None:
    """Microseconds since the year 1; None where a cell is of another form, or there is no such day."""
    match = form.fullmatch(cell)
    if match is None:
        return None
    parts = match.groupdict()
    month = 3 * int(parts["quarter"]) - 2 if "quarter" in parts else int(parts["month"] or 1)
    try:
        day = datetime(int(parts["year"]), month, int(parts.get("day") or 1))
        hour, minute = int(parts.get("hour") or 0), int(parts.get("minute") or 0)
        second = float(parts.get("second") or 0)
        if hour > 23 or minute > 59 or second >= 60.0:
            return None
    except ValueError:
        return None
    since = (day - datetime(1, 1, 1)) // timedelta(microseconds=1)
    return since + round(((hour * 60 + minute - _zone(parts.get("zone"))) * 60 + second) * 1e6)


def _zone(text: str | None) -> int:
    """Minutes that a zone is ahead of universal time."""
    if text is None or text == "Z":
        return 0
    minutes = 60 * int(text[1:3]) + int(text[-2:])
    return -minutes if text[0] == "-" else minutes


def _told(distance: float, are_dates: bool) -> str:
    """A distance of times in words."""
    if not are_dates:
        return f"{distance:g}"
    unit = next((name for name, size in _UNITS.items() if distance >= size), "seconds")
    return f"{distance / _UNITS[unit]:.4g} {unit}"
