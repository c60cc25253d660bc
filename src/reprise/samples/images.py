"""Images as one grid in a PNG file, each pixel a square that one can see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from reprise.samples.base import Sample, Shown

WIDTH, HEIGHT = 1024, 2048  # pixels that the images of a grid may fill; small images are enlarged up to that
GAP = 2  # pixels between images and around them
_GREY, _WHITE, _BLACK = 128, 255, 0  # of gaps, behind titles, of titles
_FONT = 16  # pixels
_TITLE_HEIGHT, _ROW_TITLE_WIDTH = 24, 200  # most that titles take


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageGrid(Sample):
    """Images side by side, row by row.

    Attributes:
        images: (N, C, H, W) of whole numbers 0 ... levels - 1; C is 1 (grey) or 3 (red, green, blue).
        levels: a value is one of so many; 0 is drawn black, levels - 1 white.
        columns: images in a row; None for about as many as there are rows.
        row_titles: beside each row.
        column_titles: above each column.

    Raises:
        ValueError: a shape, a value or the number of titles is another one.
    """

    images: Tensor
    levels: int
    columns: int | None = None
    row_titles: Sequence[str] | None = None
    column_titles: Sequence[str] | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.images.shape)
        if len(shape) != 4 or shape[1] not in (1, 3) or 0 in shape:
            raise ValueError(f"images have the shape {shape}. Expected (N, C, H, W) with C = 1 or 3.")
        if not 2 <= self.levels <= 256:
            raise ValueError(f"levels is {self.levels}. Expected 2 to 256.")
        values = self.images.detach()
        wrong = (values < 0) | (values > self.levels - 1) | (values != values.round())
        if wrong.any():
            raise ValueError(f"images hold {values[wrong][0].item()}. Expected whole numbers 0 to {self.levels - 1}.")
        if self.columns is not None and self.columns < 1:
            raise ValueError(f"columns is {self.columns}. Expected 1 or more.")
        rows, columns = self.shape
        for name, titles, count in (("row", self.row_titles, rows), ("column", self.column_titles, columns)):
            if titles is not None and len(titles) != count:
                raise ValueError(f"{len(titles)} {name} titles are given. Expected {count}, one for each {name}.")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        count = len(self.images)
        columns = min(count, self.columns or math.ceil(math.sqrt(count)))
        return math.ceil(count / columns), columns

    @property
    def scale(self) -> int:
        """Width and height in the picture of one pixel of an image."""
        (rows, columns), (height, width) = self.shape, self.images.shape[2:]
        fitting = min(
            (WIDTH - (columns + 1) * GAP) // (columns * width), (HEIGHT - (rows + 1) * GAP) // (rows * height)
        )
        return max(1, fitting)

    def write(self, folder: Path) -> list[Shown]:
        """Write NAME.png."""
        path = folder / f"{self.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.picture().save(path, format="PNG")
        return [Shown(self.name, path, "image", self.caption)]

    def picture(self) -> Image.Image:
        """Draw the grid: mode L for grey images, RGB for coloured ones; the same images give the same picture."""
        canvas = self._canvas()
        picture = Image.fromarray(canvas[..., 0] if canvas.shape[2] == 1 else canvas)
        if self.row_titles is None and self.column_titles is None:
            return picture
        return self._titled(picture)

    def _canvas(self) -> np.ndarray:
        """Images and gaps, (height, width, C) of bytes."""
        (rows, columns), scale = self.shape, self.scale
        top = self.levels - 1
        # to the nearest byte, halves upwards
        values = (self.images.detach().cpu().long() * 510 + top).div(2 * top, rounding_mode="floor")
        tiles = values.permute(0, 2, 3, 1).numpy().astype(np.uint8).repeat(scale, axis=1).repeat(scale, axis=2)
        height, width = tiles.shape[1] + GAP, tiles.shape[2] + GAP
        canvas = np.full((rows * height + GAP, columns * width + GAP, tiles.shape[3]), _GREY, dtype=np.uint8)
        for i, tile in enumerate(tiles):
            y, x = i // columns * height + GAP, i % columns * width + GAP
            canvas[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
        return canvas

    def _titled(self, picture: Image.Image) -> Image.Image:
        """Put the titles above and to the left of the grid."""
        font = ImageFont.load_default(_FONT)
        (rows, columns), (width, height) = self.shape, picture.size
        beside = [_fitted(title, font, _ROW_TITLE_WIDTH) for title in self.row_titles or ()]
        left = max((math.ceil(font.getlength(title)) + 12 for title in beside), default=0)
        above = _TITLE_HEIGHT if self.column_titles is not None else 0
        paper = (_WHITE,) * 3 if picture.mode == "RGB" else _WHITE
        ink = (_BLACK,) * 3 if picture.mode == "RGB" else _BLACK
        page = Image.new(picture.mode, (left + width, above + height), paper)
        page.paste(picture, (left, above))
        draw = ImageDraw.Draw(page)
        for i, title in enumerate(beside):
            draw.text((left - 6, above + height * (2 * i + 1) // (2 * rows)), title, ink, font, anchor="rm")
        for i, title in enumerate(self.column_titles or ()):
            place = (left + width * (2 * i + 1) // (2 * columns), above // 2)
            draw.text(place, _fitted(title, font, width // columns - 4), ink, font, anchor="mm")
        return page


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Cut a text until it is at most so many pixels wide."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
