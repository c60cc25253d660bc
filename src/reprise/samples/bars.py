"""Bars in groups as a picture and as a table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reprise.samples.base import Sample, Shown

_ROW = 0.17  # inches of a bar
_WIDTH = 8.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Bars(Sample):
    """Numbers between 0 and 1 side by side: a group of horizontal bars for each thing that is measured.

    Attributes:
        rows: what is measured, from top to bottom.
        series: a number for each row, by the name of who says so; NaN where it is not known, as do() of data alone.
        axis: what the numbers are.

    Raises:
        ValueError: a series has another length than there are rows, or there is none.
    """

    rows: Sequence[str]
    series: Mapping[str, Sequence[float]]
    axis: str

    def __post_init__(self) -> None:
        if not self.series or not self.rows:
            raise ValueError("no rows or no series are given. Expected one or more of each.")
        for name, values in self.series.items():
            if len(values) != len(self.rows):
                raise ValueError(f"series {name!r} has {len(values)} values. Expected {len(self.rows)}, one a row.")

    def write(self, folder: Path) -> list[Shown]:
        """Write NAME.png and NAME.csv; the picture is shown."""
        picture, rows = folder / f"{self.name}.png", folder / f"{self.name}.csv"
        picture.parent.mkdir(parents=True, exist_ok=True)
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["", *self.series])
        for row, *values in zip(self.rows, *self.series.values(), strict=True):
            table.writerow([row, *("" if math.isnan(v) else f"{v:.6g}" for v in values)])
        rows.write_text(text.getvalue(), encoding="utf-8")
        self._draw(picture)
        return [Shown(self.name, picture, "image", self.caption)]

    def _draw(self, path: Path) -> None:
        from matplotlib.figure import Figure

        count = len(self.series)
        height = 1.0 + _ROW * (count + 1) * len(self.rows)
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        for i, (name, values) in enumerate(self.series.items()):
            places = [row * (count + 1) + i for row in range(len(self.rows))]
            axes.barh(places, [0.0 if math.isnan(v) else v for v in values], height=0.9, label=name)
            for place, value in zip(places, values, strict=True):
                said = "not known" if math.isnan(value) else f"{value:.3f}"
                axes.text((0.0 if math.isnan(value) else value) + 0.01, place, said, va="center", fontsize=6)
        axes.set_yticks([row * (count + 1) + (count - 1) / 2 for row in range(len(self.rows))], self.rows)
        axes.invert_yaxis()
        axes.set_xlim(0.0, 1.1)
        axes.set_xlabel(self.axis)
        axes.margins(y=0.01)
        figure.suptitle(self.caption, fontsize=9)
        figure.legend(*axes.get_legend_handles_labels(), fontsize="small", loc="outside lower center", ncols=count)
        figure.savefig(path, dpi=110, metadata={"Software": None})
