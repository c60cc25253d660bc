"""A predicted mean and interval beside data, as a picture and as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reprise.samples.base import Sample, Shown


@dataclass(frozen=True, eq=False, kw_only=True)
class Band(Sample):
    """A curve with an interval around it, and points.

    Attributes:
        x: name of the axis with its unit, and where the curve is given, ascending.
        y: name of the other axis with its unit.
        mean: the curve.
        lower, upper: the interval, e.g. of 95 %; None where there is none.
        points: (x, y) of each named set, e.g. "training", "test".

    Raises:
        ValueError: lengths differ.
    """

    x: tuple[str, Sequence[float]]
    y: str
    mean: Sequence[float]
    lower: Sequence[float] | None = None
    upper: Sequence[float] | None = None
    points: Mapping[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.lower is None) != (self.upper is None):
            raise ValueError("expected both ends of the interval, or none")
        for name, values in (("mean", self.mean), ("lower", self.lower), ("upper", self.upper)):
            if values is not None and len(values) != len(self.x[1]):
                raise ValueError(f"{name} has {len(values)} values. Expected {len(self.x[1])}, one a point.")

    def write(self, folder: Path) -> list[Shown]:
        """Write NAME.png and NAME.csv (the curve and its interval); the picture is shown."""
        picture, rows = folder / f"{self.name}.png", folder / f"{self.name}.csv"
        picture.parent.mkdir(parents=True, exist_ok=True)
        columns = {self.x[0]: self.x[1], "mean": self.mean}
        if self.lower is not None and self.upper is not None:
            columns |= {"lower": self.lower, "upper": self.upper}
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(columns)
        table.writerows([f"{value:.9g}" for value in row] for row in zip(*columns.values(), strict=True))
        rows.write_text(text.getvalue(), encoding="utf-8")
        self._draw(picture)
        return [Shown(self.name, picture, "image", self.caption)]

    def _draw(self, path: Path) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        if self.lower is not None and self.upper is not None:
            axes.fill_between(self.x[1], self.lower, self.upper, alpha=0.25, linewidth=0, label="95 %")
        axes.plot(self.x[1], self.mean, linewidth=1.2, label="mean")
        for (name, (x, y)), colour in zip(self.points.items(), ("black", "tab:red", "tab:green"), strict=False):
            axes.plot(x, y, linestyle="none", marker=".", markersize=3, color=colour, label=name)
        axes.set_xlabel(self.x[0])
        axes.set_ylabel(self.y)
        axes.legend(fontsize="small")
        axes.grid(alpha=0.3)
        figure.savefig(path, dpi=120, metadata={"Software": None})
