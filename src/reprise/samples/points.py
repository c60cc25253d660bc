"""Points in the plane as panels of one PNG file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from reprise.samples.base import Sample, Shown

_INCHES = 2.6  # width and height of a panel
_INK = "#1f4e79"


@dataclass(frozen=True, eq=False, kw_only=True)
class PointPanels(Sample):
    """Clouds of points side by side, row by row, all on the same axes.

    Attributes:
        clouds: (N, 2) each, non-finite points are left out; row by row.
        titles: above each panel.
        columns: panels in a row.
        row_titles: beside each row.
        limit: axes go from -limit to limit.

    Raises:
        ValueError: a shape, or a number of titles, is another one.
    """

    clouds: Sequence[Tensor]
    titles: Sequence[str]
    columns: int
    row_titles: Sequence[str]
    limit: float = 3.0

    def __post_init__(self) -> None:
        for cloud in self.clouds:
            if cloud.ndim != 2 or cloud.shape[1] != 2:
                raise ValueError(f"points have the shape {tuple(cloud.shape)}. Expected (N, 2).")
        rows = len(self.row_titles)
        if not self.clouds or len(self.clouds) != rows * self.columns or len(self.titles) != len(self.clouds):
            raise ValueError(
                f"{len(self.clouds)} clouds, {len(self.titles)} titles and {rows} row titles are given for "
                f"{self.columns} columns. Expected a title for each cloud, and clouds for all rows and columns."
            )

    def write(self, folder: Path) -> list[Shown]:
        """Write NAME.png."""
        figure = _figure(self.columns * _INCHES, len(self.row_titles) * _INCHES)
        axes = figure.subplots(len(self.row_titles), self.columns, sharex=True, sharey=True, squeeze=False)
        for place, (cloud, title) in enumerate(zip(self.clouds, self.titles, strict=True)):
            panel = axes[place // self.columns, place % self.columns]
            kept = cloud.detach().cpu().double()
            kept = kept[kept.isfinite().all(1)]
            panel.plot(
                kept[:, 0].numpy(),
                kept[:, 1].numpy(),
                ".",
                markersize=1.5 if len(kept) > 200 else 5.0,
                color=_INK,
                alpha=0.6,
            )
            panel.set_title(title, fontsize=9)
            panel.set(xlim=(-self.limit, self.limit), ylim=(-self.limit, self.limit), aspect="equal")
        for row, title in zip(axes, self.row_titles, strict=True):
            row[0].set_ylabel(title)
        figure.suptitle(self.caption)
        return [Shown(self.name, _save(figure, folder, self.name), "image", self.caption)]


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, folder: Path, name: str) -> Path:
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    return path
