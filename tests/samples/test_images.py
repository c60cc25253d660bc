"""Grids of images: every pixel where it belongs, in its colour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from reprise.samples.images import GAP, ImageGrid

GREY = 128


def grid(images: Any, levels: int = 256, **settings: Any) -> ImageGrid:
    return ImageGrid(name="made", caption="as it was made", images=torch.as_tensor(images), levels=levels, **settings)


def pixels(sample: ImageGrid, folder: Path) -> np.ndarray:
    (shown,) = sample.write(folder)
    assert (shown.key, shown.path, shown.kind) == ("made", folder / "made.png", "image")
    assert shown.caption == "as it was made"
    return np.asarray(Image.open(shown.path))


def test_binary_images_are_black_and_white_squares_between_thin_gaps(tmp_path: Path) -> None:
    images = torch.tensor([[0, 1], [1, 0]]).expand(3, 1, 2, 2).clone()
    images[2] = 1
    sample = grid(images, 2, columns=3)
    s = sample.scale
    assert s == (1024 - 4 * GAP) // 6
    seen = pixels(sample, tmp_path)
    assert seen.dtype == np.uint8 and seen.shape == (2 * s + 2 * GAP, 6 * s + 4 * GAP)
    top, side = GAP, 2 * s + GAP
    for i in range(2):
        x = GAP + i * side
        assert (seen[top : top + s, x : x + s] == 0).all() and (seen[top : top + s, x + s : x + 2 * s] == 255).all()
        assert (seen[top + s : top + 2 * s, x : x + s] == 255).all()
        assert (seen[top + s : top + 2 * s, x + s : x + 2 * s] == 0).all()
    assert (seen[top : top + 2 * s, GAP + 2 * side : GAP + 2 * side + 2 * s] == 255).all()
    for start in (0, side, 2 * side, 3 * side):
        assert (seen[:, start : start + GAP] == GREY).all()
    assert (seen[:GAP] == GREY).all() and (seen[-GAP:] == GREY).all()


def test_levels_spread_over_all_bytes(tmp_path: Path) -> None:
    four = torch.arange(4).reshape(1, 1, 1, 4)
    assert [int(v) for v in np.unique(pixels(grid(four, 4), tmp_path)[GAP])] == [0, 85, GREY, 170, 255]
    every = torch.arange(256).reshape(1, 1, 16, 16)
    sample = grid(every)
    s = sample.scale
    seen = pixels(sample, tmp_path)[GAP : GAP + 16 * s : s, GAP : GAP + 16 * s : s]
    assert (seen == every[0, 0].numpy()).all()


def test_colours_and_places_of_the_last_row(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (5, 3, 4, 6), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    sample = grid(images)
    assert sample.shape == (2, 3)
    s = sample.scale
    seen = pixels(sample, tmp_path)
    assert seen.shape[2] == 3
    for i, image in enumerate(images):
        y, x = i // 3 * (4 * s + GAP) + GAP, i % 3 * (6 * s + GAP) + GAP
        for part in (0, s - 1):  # the first and the last pixel of each square
            tile = seen[y + part : y + 4 * s : s, x + part : x + 6 * s : s]
            assert (tile == image.permute(1, 2, 0).numpy()).all()
    assert (seen[4 * s + 2 * GAP :, 2 * (6 * s + GAP) + GAP :] == GREY).all()  # the place of a sixth image


@pytest.mark.parametrize(
    ("count", "channels", "side", "columns"), [(16, 1, 28, None), (64, 3, 32, 8), (1, 1, 8, None), (40, 1, 28, 2)]
)
def test_sizes_suit_a_screen(count: int, channels: int, side: int, columns: int | None) -> None:
    width, height = grid(torch.zeros(count, channels, side, side, dtype=torch.long), columns=columns).picture().size
    assert width <= 1024 and height <= 2048
    assert width >= 512 or height > 1500


def test_large_images_are_not_made_smaller() -> None:
    assert grid(torch.zeros(4, 1, 700, 700, dtype=torch.long)).picture().size[0] == 1400 + 3 * GAP


def test_titles_stand_outside_the_images(tmp_path: Path) -> None:
    images = torch.zeros(4, 1, 8, 8, dtype=torch.long)
    plain = pixels(grid(images, columns=2), tmp_path)
    for mode, some in (("L", images), ("RGB", images.repeat(1, 3, 1, 1))):
        titled = grid(some, columns=2, row_titles=["originals", "made" * 100], column_titles=["a", "b" * 400]).picture()
        assert titled.mode == mode
        seen = np.asarray(titled.convert("L"))
        assert (seen[-plain.shape[0] :, -plain.shape[1] :] == plain).all()
        left, above = seen.shape[1] - plain.shape[1], seen.shape[0] - plain.shape[0]
        assert 0 < left <= 220 and 0 < above <= 40
        for ink in (seen[above : above + plain.shape[0] // 2, :left], seen[:above, left : left + plain.shape[1] // 2]):
            assert ink.min() < 60 and (ink == 255).mean() > 0.5


def test_the_same_images_give_the_same_bytes_without_extras(tmp_path: Path) -> None:
    images = torch.randint(0, 8, (6, 3, 5, 5), generator=torch.Generator().manual_seed(1))
    files = []
    for name in "ab":
        (shown,) = grid(images, 8, row_titles=["x", "y"]).write(tmp_path / name / "deep")
        files.append(shown.path)
    assert files[0].read_bytes() == files[1].read_bytes()
    picture = Image.open(files[0])
    assert picture.mode == "RGB" and picture.info == {}


@pytest.mark.parametrize(
    ("images", "settings", "message"),
    [
        (torch.zeros(2, 8, 8), {}, r"shape \(2, 8, 8\). Expected \(N, C, H, W\)"),
        (torch.zeros(1, 4, 8, 8), {}, "C = 1 or 3"),
        (torch.zeros(0, 1, 8, 8), {}, "shape"),
        (torch.full((1, 1, 2, 2), 2), {"levels": 2}, "hold 2. Expected whole numbers 0 to 1"),
        (torch.full((1, 1, 2, 2), -1), {}, "hold -1"),
        (torch.full((1, 1, 2, 2), 0.5), {}, "hold 0.5"),
        (torch.full((1, 1, 2, 2), torch.nan), {}, "hold nan"),
        (torch.zeros(1, 1, 2, 2), {"levels": 1}, "levels is 1"),
        (torch.zeros(1, 1, 2, 2), {"columns": 0}, "columns is 0"),
        (torch.zeros(4, 1, 2, 2), {"row_titles": ["one"]}, "1 row titles are given. Expected 2"),
    ],
)
def test_what_is_no_grid_is_refused(images: torch.Tensor, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        grid(images, **settings)
