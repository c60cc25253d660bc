"""How a sweep ended: the last lines a user reads, and the exit code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reprise.launch.point import DONE, Point, shell
from reprise.launch.view import tally

_SHOWN = 20  # failed points that are printed one by one


@dataclass(frozen=True)
class Outcome:
    """A sweep that has come to its end.

    Attributes:
        directory: of the sweep.
        points: all of them.
        group: W&B group.
        seconds: wall time of this start.
        notes: further lines, of a search: importances, where the page is.
    """

    directory: Path
    points: list[Point]
    group: str
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 when every point is done, 1 when one failed or is missing."""
        return 0 if all(p.state in DONE for p in self.points) else 1

    def best(self) -> Point | None:
        """The finished point with the best objective; None without one, or where points differ in what they monitor."""
        done = [p for p in self.points if p.state == "finished" and p.objective is not None]
        if not done or len({(p.monitor, p.mode) for p in done}) > 1:
            return None
        sign = 1.0 if done[0].mode == "min" else -1.0
        return min(done, key=lambda p: sign * (p.objective or 0.0))

    def lines(self) -> list[str]:
        """What is said at the end."""
        found = [f"{tally(self.points)}, {self.seconds:.0f} s: {self.directory}"]
        failed = [p for p in self.points if p.state == "failed"]
        for point in failed[:_SHOWN]:
            found.append(f"  failed {point.label}: {point.error}")
            if point.log.is_file():
                found.append(f"    log:   {point.log}")
            found.append(f"    again: {shell(point.words(self.group))}")
        if len(failed) > _SHOWN:
            found.append(f"  and {len(failed) - _SHOWN} more: see {self.directory / 'sweep.json'}")
        if any(p.state not in (*DONE, "failed") for p in self.points):
            found.append("  not all points were run: the same command again does what is left")
        if (best := self.best()) is not None:
            what = f"{best.monitor} {best.objective:.6g}"
            found.append(f"  best {what}: {best.label}: {best.directory}")
        return [*found, *(f"  {note}" for note in self.notes)]
