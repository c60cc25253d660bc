"""Curves as a picture and as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reprise.samples.base import Sample, Shown


@dataclass(frozen=True, eq=False, kw_only=True)
class Curve(Sample):
    """One or several curves over a common axis.

    Attributes:
        x: name of the axis with its unit, and where the points lie.
        series: values at these points, by name with the unit.
        log_x, log_y: logarithmic axes.

    Raises:
        ValueError: a series has another length than the axis, or there is none.
    """

    x: tuple[str, Sequence[float]]
    series: Mapping[str, Sequence[float]]
    log_x: bool = False
    log_y: bool = False

    def __post_init__(self) -> None:
        if not self.series:
            raise ValueError("no series is given. Expected one or more.")
        for name, values in self.series.items():
            if len(values) != len(self.x[1]):
                raise ValueError(f"series {name!r} has {len(values)} values. Expected {len(self.x[1])}, one a point.")

    def write(self, folder: Path) -> list[Shown]:
        """Write NAME.png and NAME.csv; the picture is shown."""
        picture, rows = folder / f"{self.name}.png", folder / f"{self.name}.csv"
        picture.parent.mkdir(parents=True, exist_ok=True)
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow([self.x[0], *self.series])
        table.writerows(zip(self.x[1], *self.series.values(), strict=True))
        rows.write_text(text.getvalue(), encoding="utf-8")
        self._draw(picture)
        return [Shown(self.name, picture, "image", self.caption)]

    def _draw(self, path: Path) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        for name, values in self.series.items():
            axes.plot(self.x[1], values, marker="o", markersize=3, label=name)
        axes.set_xlabel(self.x[0])
        if len(self.series) == 1:
            axes.set_ylabel(next(iter(self.series)))
        else:
            axes.legend()
        axes.set_xscale("log" if self.log_x else "linear")
        axes.set_yscale("log" if self.log_y else "linear")
        axes.grid(alpha=0.3)
        figure.savefig(path, dpi=120, metadata={"Software": None})
