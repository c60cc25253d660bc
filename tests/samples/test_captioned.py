"""Pictures that carry their caption."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reprise.samples.captioned import CaptionedCurve, CaptionedGrid
from reprise.samples.curves import Curve
from reprise.samples.images import ImageGrid
from reprise.samples.lettering import font_of, lines_of


def grid(caption: str, channels: int = 3, count: int = 4) -> CaptionedGrid:
    images = torch.full((count, channels, 8, 8), 128, dtype=torch.uint8)
    return CaptionedGrid(name="grid", caption=caption, images=images, levels=256, columns=2)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_the_caption_stands_above_the_grid(channels: int, mode: str) -> None:
    plain, said = grid("", channels).picture(), grid("Red moved from 0 to 1", channels).picture()
    assert said.mode == mode and said.width == plain.width and said.height > plain.height
    head = np.asarray(said)[: said.height - plain.height]
    assert head.min() == 0  # ink
    assert np.array_equal(np.asarray(said)[said.height - plain.height :], np.asarray(plain))


def test_a_long_caption_stays_on_a_narrow_page() -> None:
    images = torch.zeros(60, 3, 64, 64, dtype=torch.uint8)  # one column
    long = CaptionedGrid(name="a", caption="word " * 60, images=images, levels=256, columns=1).picture()
    head = np.asarray(long)[:100]
    assert long.width == 480 and head.min() == 0 and bool((head[:, -6:] == 255).all())


def test_grey_pictures_have_gaps_that_show() -> None:
    """Another grid's gaps are of this very grey."""
    same = {"name": "grid", "caption": "", "images": grid("").images, "levels": 256, "columns": 2}
    other = np.asarray(ImageGrid(**same).picture())  # type: ignore[arg-type]
    assert np.unique(other).tolist() == [128]
    picture = np.asarray(grid("").picture())
    pictures = (picture == 128).all(-1)
    assert pictures.sum() == 4 * (8 * grid("").scale) ** 2 and bool((picture[~pictures] == 255).all())


def test_curves_have_a_title_and_a_named_axis(tmp_path: Path) -> None:
    both = {
        "name": "tvd",
        "caption": "How far it is " * 12,
        "x": ("step", [1, 2]),
        "series": {"a": [1, 2], "b": [2, 1]},
    }
    CaptionedCurve(**both, axis="distance").write(tmp_path / "named")  # type: ignore[arg-type]
    Curve(**both).write(tmp_path / "plain")  # type: ignore[arg-type]
    said, plain = ((tmp_path / folder / "tvd.csv").read_text() for folder in ("named", "plain"))
    assert said == plain
    picture = np.asarray(Image.open(tmp_path / "named" / "tvd.png").convert("L"))
    assert picture[5:20].min() < 100 and picture[24:40].min() < 100  # two lines of a title
    assert picture[150:400, 5:22].min() < 100  # the name of the upright axis
    CaptionedCurve(**both, axis="distance").write(tmp_path / "again")  # type: ignore[arg-type]
    assert (tmp_path / "again" / "tvd.png").read_bytes() == (tmp_path / "named" / "tvd.png").read_bytes()


def test_lines_fit_their_width() -> None:
    font = font_of(14)
    text = "a sentence of some length that does not fit into one line of three hundred pixels at all"
    lines = lines_of(text, 300, font)
    assert " ".join(lines) == text and max(font.getlength(line) for line in lines) <= 300
    assert lines_of("", 300, font) == []
