"""Grids and curves that say themselves what they show: the caption stands in the picture."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from reprise.samples.curves import Curve
from reprise.samples.images import GAP, ImageGrid
from reprise.samples.lettering import font_of, lines_of

_FONT, _LINE, _MARGIN = 15, 20, 8  # pixels of letters, of a line and around the caption
_LEAST = 480  # pixels of width, so that a caption above a narrow grid has not many lines
_TITLE = 95  # characters of a line above curves


@dataclass(frozen=True, eq=False, kw_only=True)
class CaptionedGrid(ImageGrid):
    """Images side by side under their caption, with white gaps, which show between grey pictures too."""

    def picture(self) -> Image.Image:
        """Draw it: mode L for grey images, RGB for coloured ones; the same images give the same picture."""
        grid = super().picture()
        white, black = ((255,) * 3, (0,) * 3) if grid.mode == "RGB" else (255, 0)
        width, font = max(grid.width, _LEAST), font_of(_FONT)
        lines = lines_of(self.caption, width - 2 * _MARGIN, font)
        head = _LINE * len(lines) + 2 * _MARGIN if lines else 0
        page = Image.new(grid.mode, (width, head + grid.height), white)
        page.paste(grid, (0, head))
        draw = ImageDraw.Draw(page)
        for i, line in enumerate(lines):
            draw.text((_MARGIN, _MARGIN + _LINE * i), line, black, font)
        return page

    def _canvas(self) -> np.ndarray:
        canvas = super()._canvas()
        for axis, side in enumerate(self.images.shape[2:]):
            gaps = np.arange(canvas.shape[axis]) % (side * self.scale + GAP) < GAP
            canvas.swapaxes(0, axis)[gaps] = 255
        return canvas


@dataclass(frozen=True, eq=False, kw_only=True)
class CaptionedCurve(Curve):
    """Curves under their caption, with a name for the upright axis.

    Attributes:
        axis: what the values are, with the unit.
    """

    axis: str

    def _draw(self, path: Path) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.2, 4.5), layout="constrained")
        axes = figure.add_subplot()
        for name, values in self.series.items():
            axes.plot(self.x[1], values, marker="o", markersize=3, label=name)
        figure.suptitle(textwrap.fill(self.caption, _TITLE), fontsize=9)
        axes.set(xlabel=self.x[0], ylabel=self.axis)
        axes.set(xscale="log" if self.log_x else "linear", yscale="log" if self.log_y else "linear")
        axes.grid(alpha=0.3)
        if len(self.series) > 1:
            axes.legend(fontsize="small")
        figure.savefig(path, dpi=120, metadata={"Software": None})
