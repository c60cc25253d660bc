"""A learnt spectral density beside a periodogram, as a picture and as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reprise.samples.base import Sample, Shown


@dataclass(frozen=True, eq=False, kw_only=True)
class Spectrum(Sample):
    """Two densities of variance over frequency, both signs taken together.

    Attributes:
        x: the unit of frequency.
        density: frequencies, ascending, and the learnt density there.
        periodogram: frequencies and the data's.

    Raises:
        ValueError: lengths differ.
    """

    x: str
    density: tuple[Sequence[float], Sequence[float]]
    periodogram: tuple[Sequence[float], Sequence[float]]

    def __post_init__(self) -> None:
        for name, (frequency, values) in (("density", self.density), ("periodogram", self.periodogram)):
            if len(frequency) != len(values):
                raise ValueError(f"{name} has {len(frequency)} frequencies and {len(values)} values.")

    def write(self, folder: Path) -> list[Shown]:
        """Write NAME.png and NAME.csv (both, with a column that says which); the picture is shown."""
        picture, rows = folder / f"{self.name}.png", folder / f"{self.name}.csv"
        picture.parent.mkdir(parents=True, exist_ok=True)
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["which", self.x, "density"])
        for name, (frequency, values) in (("learnt", self.density), ("periodogram", self.periodogram)):
            table.writerows([name, f"{f:.9g}", f"{v:.9g}"] for f, v in zip(frequency, values, strict=True))
        rows.write_text(text.getvalue(), encoding="utf-8")
        self._draw(picture)
        return [Shown(self.name, picture, "image", self.caption)]

    def _draw(self, path: Path) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(*self.periodogram, color="black", linewidth=0.6, marker=".", markersize=3, label="periodogram")
        axes.plot(*self.density, color="tab:blue", linewidth=1.2, label="learnt density")
        axes.set_yscale("log")
        seen = sorted(value for value in self.periodogram[1] if value > 0.0)
        if seen:
            lowest = seen[len(seen) // 20] / 10.0  # far below the data's, a mixture's tails say nothing
            axes.set_ylim(lowest, 3.0 * max(seen[-1], *self.density[1], lowest))
        axes.set_xlim(0.0, self._shown_up_to())
        axes.set_xlabel(self.x)
        axes.set_ylabel("variance per unit of frequency")
        axes.legend(fontsize="small")
        axes.grid(alpha=0.3)
        figure.savefig(path, dpi=120, metadata={"Software": None})

    def _shown_up_to(self) -> float:
        """Three times the frequency up to which 99.9 % of the data's variance lies, or as far as they go."""
        frequency, power = self.periodogram
        left, last = 0.999 * sum(power), frequency[-1]
        for f, value in zip(frequency, power, strict=True):
            left -= value
            if left <= 0.0:
                return min(3.0 * f, last)
        return last
