"""What a user sees of a sweep while it runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from reprise.launch.point import DONE, Point

_ROWS = 30  # of the live table; longer sweeps show what is under way and what failed
_REFRESH_SECONDS = 0.5
_COLOURS = {"running": "cyan", "finished": "green", "pruned": "yellow", "failed": "red", "interrupted": "yellow"}


def make_view() -> Any:
    """Choose by whether stderr is a terminal."""
    return TableView() if sys.stderr.isatty() else LineView()


class LineView:
    """One line for each change of a point's state."""

    def __init__(self) -> None:
        self._states: dict[int, str] = {}

    def show(self, points: list[Point]) -> None:
        """Print what changed."""
        if not self._states and (done := [p for p in points if p.state in DONE]):
            self._states = {p.index: p.state for p in done}
            print(f"{len(done)} of {len(points)} points are done already", file=sys.stderr, flush=True)
        for point in points:
            if self._states.get(point.index, "waiting") != point.state:
                print(f"[{point.index + 1}/{len(points)}] {describe(point)}", file=sys.stderr, flush=True)
            self._states[point.index] = point.state

    def say(self, line: str) -> None:
        """Print a line."""
        print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is open."""


class TableView:
    """A table of the points, drawn in place; why a point failed is said above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()
        self._shown = 0.0
        self._failed: set[int] = set()

    def show(self, points: list[Point]) -> None:
        """Draw the table again, twice a second at most."""
        if time.monotonic() - self._shown < _REFRESH_SECONDS:
            return
        self._shown = time.monotonic()
        for point in points:
            if point.state == "failed" and point.index not in self._failed:
                self._failed.add(point.index)
                self.say(describe(point))
        self._live.update(draw(points), refresh=True)

    def say(self, line: str) -> None:
        """Print a line above the table."""
        self._console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        """Remove the table."""
        self._live.stop()


def draw(points: list[Point], rows: int = _ROWS) -> Any:
    """Make the table: what is under way or failed first, then the rest, as far as it fits."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(caption=tally(points), caption_justify="left", box=None, pad_edge=False)
    for name in ("point", "what", "state", "step", points[0].monitor if points else "metric", "where"):
        table.add_column(name, overflow="fold" if name == "what" else "ellipsis", no_wrap=name != "what")
    order = {"running": 0, "failed": 1, "interrupted": 2, "waiting": 3}
    chosen = sorted(points, key=lambda p: (order.get(p.state, 4), p.index))[:rows]
    for point in sorted(chosen, key=lambda p: p.index):
        colour = _COLOURS.get(point.state)
        state = f"[{colour}]{point.state}[/]" if colour else point.state
        step = f"{point.step}/{point.max_steps}" if point.max_steps else str(point.step)
        value = "" if point.value is None else f"{point.value:.5g}"
        table.add_row(
            str(point.index), escape(point.label), state, step, value, escape(_where(point) or point.directory.name)
        )
    if len(points) > len(chosen):
        table.add_row("...", f"{len(points) - len(chosen)} more", "", "", "", "")
    return table


def describe(point: Point) -> str:
    """One line on a point that has changed."""
    line = f"{point.label}: {point.state}"
    if point.state == "running":
        return line + (f" on {_where(point)}" if _where(point) else "") + f", {point.directory}"
    if point.objective is not None:
        line += f", {point.monitor} {point.objective:.6g}"
    if point.reused:
        line += f" (found: {point.directory})"
    elif point.seconds and point.state != "waiting":
        line += f" ({point.seconds:.0f} s)"
    return line + (f": {point.error}" if point.error else "")


def tally(points: list[Point]) -> str:
    """Count the points by state: `3 finished, 1 failed of 4 points`."""
    order = ("running", "waiting", "finished", "pruned", "interrupted", "failed")
    counts = {state: sum(p.state == state for p in points) for state in order}
    return ", ".join(f"{n} {state}" for state, n in counts.items() if n) + f" of {len(points)} points"


def _where(point: Point) -> str:
    place = point.placement
    if "gpus" in place:
        return "GPU " + ",".join(map(str, place["gpus"]))
    if "job" in place:
        words = [w for w in (place.get("state"), place.get("reason")) if w and w != "running"]
        return f"job {place['job']}" + (f" ({': '.join(words)})" if words else "")
    if "node" in place:
        return str(place["node"])
    if "threads" in place:
        processes = place.get("processes", 1)
        threads = f"{place['threads']} CPU thread" + ("s" if place["threads"] > 1 else "")
        return f"{processes} processes x {threads}" if processes > 1 else threads
    return ""
