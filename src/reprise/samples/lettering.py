"""Words in pictures: the typeface, and texts in lines of a width."""

from __future__ import annotations

import textwrap

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def font_of(size: int) -> Font:
    """The typeface at a size in pixels."""
    return ImageFont.load_default(size)


def lines_of(text: str, width: int, font: Font) -> list[str]:
    """A text in lines of at most so many pixels; none for an empty one."""
    if not text:
        return []
    for characters in range(len(text), 5, -1):
        lines = textwrap.wrap(text, characters)
        if max(font.getlength(line) for line in lines) <= width:
            return lines
    return textwrap.wrap(text, 6)
