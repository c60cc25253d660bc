"""Pictures of labels set against labels that happened, with what a judge finds in them beside; and sweeps of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from reprise.samples.base import Sample, Shown
from reprise.samples.captioned import CaptionedGrid
from reprise.samples.lettering import font_of, lines_of

_PICTURES = 690  # pixels that the pictures of a row may fill; small ones are enlarged up to that
_GAP, _MARGIN = 3, 14
_LEFT, _BAR, _PERCENT = 220, 110, 130  # pixels for the words of a row, for a bar and for the figures beside it
_LINE = 21  # of a line of numbers
_PAPER, _INK, _SOFT, _RULE = (255, 255, 255), (20, 20, 20), (105, 105, 105), (200, 200, 200)
_JUDGED, _EMPTY, _MARK = (74, 124, 178), (228, 228, 228), (205, 92, 0)


@dataclass(frozen=True)
class Found:
    """How often something is found in the pictures of a row.

    Attributes:
        words: what, e.g. "Male".
        judged: share of pictures that the judge says so of; None where it does not judge that.
        labels: share of the labels that the pictures were made from.
    """

    words: str
    judged: float | None
    labels: float


@dataclass(frozen=True, eq=False)
class LabelRow:
    """Pictures that were made in one way.

    Attributes:
        words: how, e.g. "do(Mustache = 1)".
        explained: in a line for people who do not know the notation.
        images: (N, C, S, S) whole numbers; None where none could be made.
        found: what is found in many more of them.
        trouble: why there are no pictures, "" where there are some.
    """

    words: str
    explained: str
    images: Tensor | None
    found: Sequence[Found] = ()
    trouble: str = ""


def words_of_row(kind: Literal["do", "given"], values: Mapping[str, int]) -> tuple[str, str]:
    """How pictures of a row were made: in the paper's notation, and in a line for those who do not know it.

    Args:
        kind: whether labels were set (do) or asked for (given).
        values: these labels.
    """
    text = ", ".join(f"{name} = {value}" for name, value in values.items())
    if kind == "do":
        return f"do({text})", "set in every draw, whatever causes it"
    return f"given {text}", "only draws in which it happened"


@dataclass(frozen=True, eq=False, kw_only=True)
class DoGivenGrid(Sample):
    """For each label a row of pictures in which it is set (do) above one in which it happened (given).

    Attributes:
        blocks: the rows of each label, do first.
        levels: of the images; a value is one of 0 ... levels - 1.
        judged: pictures a row that the numbers are of; 0 where nothing is found in any.

    Raises:
        ValueError: there is no picture at all, or pictures differ in shape.
    """

    blocks: Sequence[Sequence[LabelRow]]
    levels: int
    judged: int = 0

    def __post_init__(self) -> None:
        shapes = {tuple(row.images.shape[1:]) for block in self.blocks for row in block if row.images is not None}
        if len(shapes) != 1:
            raise ValueError(f"pictures have the shapes {sorted(shapes)}. Expected one, of at least one row.")
        if (shape := shapes.pop())[0] not in (1, 3):
            raise ValueError(f"pictures have the shape {shape}. Expected (C, S, S) with C = 1 or 3.")

    def write(self, folder: Path) -> list[Shown]:
        """Write NAME.png."""
        path = folder / f"{self.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.picture().save(path, format="PNG")
        return [Shown(self.name, path, "image", self.caption)]

    def picture(self) -> Image.Image:
        """Draw it; the same rows give the same picture."""
        rows = [row for block in self.blocks for row in block]
        shown = [row.images for row in rows if row.images is not None]
        columns, side = max(len(images) for images in shown), max(shown[0].shape[2:])
        scale = max(1, (_PICTURES // columns - _GAP) // side)
        tile = side * scale
        pictures = columns * (tile + _GAP)
        numbers = _MARGIN + self._widest() + _BAR + _PERCENT if any(row.found for row in rows) else 0
        width = _LEFT + pictures + 3 * _MARGIN + numbers
        head = lines_of(self._heading(), width - 2 * _MARGIN, font_of(14))
        heights = [max(tile, 40, _LINE * len(row.found)) + 6 for row in rows]
        top = _MARGIN + 22 * len(head) + 12
        page = Image.new("RGB", (width, top + sum(heights) + (10 * len(self.blocks)) + _MARGIN), _PAPER)
        draw = ImageDraw.Draw(page)
        for i, line in enumerate(head):
            draw.text((_MARGIN, _MARGIN + 22 * i), line, _INK, font_of(14))
        y = top
        sizes = iter(heights)
        for block in self.blocks:
            draw.line((_MARGIN, y, width - _MARGIN, y), _RULE)
            y += 6
            for row in block:
                height = next(sizes)
                self._draw_row(page, draw, row, y, tile, pictures)
                y += height
            y += 4
        return page

    def _heading(self) -> str:
        rows = [row for block in self.blocks for row in block]
        text = (
            'In a row "do(...)" a label is set and what causes it is left as it was. In a row "given ..." it was not '
            "set: only draws in which it happened are shown, so that what causes it comes along."
        )
        if any(row.found for row in rows):
            text += (
                f" Beside them: of {self.judged} such pictures, the share in which a judge, a classifier of real "
                "images, sees a label (bar), and the share in which it was asked for (mark, in brackets)."
            )
        return text

    def _widest(self) -> int:
        words = [found.words for block in self.blocks for row in block for found in row.found]
        return max((round(font_of(14).getlength(text)) for text in words), default=0)

    def _draw_row(
        self, page: Image.Image, draw: ImageDraw.ImageDraw, row: LabelRow, y: int, tile: int, pictures: int
    ) -> None:
        draw.text((_MARGIN, y), row.words, _INK, font_of(15))
        for i, line in enumerate(lines_of(row.explained, _LEFT - 10, font_of(12))):
            draw.text((_MARGIN, y + 20 + 15 * i), line, _SOFT, font_of(12))
        left = _MARGIN + _LEFT
        if row.images is not None:
            for i, image in enumerate(row.images):
                page.paste(_picture_of(image, self.levels, tile), (left + i * (tile + _GAP), y))
        for i, line in enumerate(lines_of(row.trouble, pictures, font_of(13))):
            draw.text((left, y + 16 * i), line, _MARK, font_of(13))
        x = left + pictures + _MARGIN
        for i, found in enumerate(row.found):
            self._draw_found(draw, found, x, y + _LINE * i)

    def _draw_found(self, draw: ImageDraw.ImageDraw, found: Found, x: int, y: int) -> None:
        draw.text((x, y), found.words, _INK, font_of(14))
        x += self._widest() + _MARGIN
        draw.rectangle((x, y + 4, x + _BAR, y + 14), _EMPTY)
        if found.judged is not None:
            draw.rectangle((x, y + 4, x + round(_BAR * found.judged), y + 14), _JUDGED)
        mark = x + round(_BAR * found.labels)
        draw.rectangle((mark - 1, y + 1, mark + 1, y + 17), _MARK)
        percent = "not judged" if found.judged is None else f"{100 * found.judged:.0f} %"
        x += _BAR + 8
        draw.text((x, y), percent, _INK if found.judged is not None else _SOFT, font_of(14))
        x += round(font_of(14).getlength(percent)) + 6
        draw.text((x, y + 1), f"({100 * found.labels:.0f} %)", _MARK, font_of(13))


def sweep_grid(
    name: str, strips: Sequence[tuple[str, Tensor]], values: Sequence[float], levels: int, words: str = ""
) -> CaptionedGrid:
    """A strip of pictures a label, which moves from one value to the other while all else stays, noise included.

    Args:
        name: of the file.
        strips: each label with its pictures (len(values), C, S, S) of whole numbers.
        values: of the label in the columns.
        levels: of the images.
        words: about the model, at the end of the caption.

    Raises:
        ValueError: there is no strip, or one has another number of pictures.
    """
    for title, images in strips:
        if len(images) != len(values):
            raise ValueError(f"the strip of {title} has {len(images)} pictures. Expected {len(values)}.")
    if not strips:
        raise ValueError("no strip is given. Expected one or more.")
    return CaptionedGrid(
        name=name,
        caption=f"Each row moves one label from {values[0]:g} to {values[-1]:g}; the other labels and the noise stay "
        f"as they are{words}",
        group=name,
        images=torch.cat([images.detach().cpu() for _, images in strips]),
        levels=levels,
        columns=len(values),
        row_titles=[title for title, _ in strips],
        column_titles=[f"{value:g}" for value in values],
    )


def _picture_of(image: Tensor, levels: int, side: int) -> Image.Image:
    """One image (C, S, S), its pixels enlarged to squares."""
    values = (image.detach().cpu().long() * 510 + levels - 1).div(2 * (levels - 1), rounding_mode="floor")
    array = values.permute(1, 2, 0).numpy().astype(np.uint8)
    if array.shape[2] == 1:
        array = array.repeat(3, axis=2)
    return Image.fromarray(array).resize((side, side), Image.Resampling.NEAREST)
