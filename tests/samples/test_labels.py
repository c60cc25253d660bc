"""The grid of do above given, and sweeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reprise.samples import labels as module
from reprise.samples.captioned import CaptionedGrid
from reprise.samples.labels import DoGivenGrid, Found, LabelRow, sweep_grid, words_of_row


def images(value: int, count: int = 4, channels: int = 3, side: int = 8) -> torch.Tensor:
    return torch.full((count, channels, side, side), value, dtype=torch.uint8)


def grid(*rows: LabelRow) -> DoGivenGrid:
    return DoGivenGrid(name="do_and_given", caption="", blocks=[list(rows)], levels=256, judged=100)


def pixels(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    return int((np.asarray(picture) == colour).all(-1).sum())


def test_pictures_stand_do_above_given_and_at_full_size() -> None:
    red, green = images(0), images(0)
    red[:, 0], green[:, 1] = 200, 200
    picture = grid(LabelRow("do(A = 1)", "set", red), LabelRow("given A = 1", "happened", green)).picture()
    array = np.asarray(picture)
    of_red, of_green = ((array == colour).all(-1) for colour in ((200, 0, 0), (0, 200, 0)))
    assert of_red.sum() == of_green.sum() == 4 * (8 * 21) ** 2  # 690 // 4 - 3 = 169 = 21 * 8 + 1
    assert np.nonzero(of_red)[0].max() < np.nonzero(of_green)[0].min()


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_bar_is_as_long_as_the_share_judged(share: float) -> None:
    bars = [grid(LabelRow("a", "b", images(9), [Found("A", s, 0.5)])).picture() for s in (share, 1.0)]
    found, whole = (pixels(bar, module._JUDGED) for bar in bars)
    assert found / whole == pytest.approx(share, abs=0.05)


def test_what_is_not_judged_has_no_bar_but_a_mark() -> None:
    picture = grid(LabelRow("a", "b", images(9), [Found("A", None, 0.5)])).picture()
    assert pixels(picture, module._JUDGED) == 0 and pixels(picture, module._MARK) > 0


def test_numbers_stay_on_the_page() -> None:
    row = LabelRow("a", "b", images(9), [Found("A rather long name of a label", None, 1.0)])
    array = np.asarray(grid(row).picture())
    assert bool((array[:, -6:] == 255).all()) and bool((array[-3:] == 255).all())


def test_trouble_is_written_where_pictures_would_stand() -> None:
    shown = LabelRow("do(A = 1)", "set", images(9))
    lost = LabelRow("given A = 1", "happened", None, trouble="A = 1 was met by none of 4000 draws.")
    assert pixels(grid(shown, lost).picture(), module._MARK) > 0 == pixels(grid(shown, shown).picture(), module._MARK)


def test_grey_images_and_files(tmp_path: Path) -> None:
    sample = grid(LabelRow("do(A = 1)", "set", images(7, channels=1)))
    (shown,) = sample.write(tmp_path / "new")
    with Image.open(shown.path) as picture:
        assert picture.mode == "RGB" and pixels(picture, (7, 7, 7)) > 0
    assert (shown.key, shown.kind) == ("do_and_given", "image")
    assert np.array_equal(np.asarray(sample.picture()), np.asarray(sample.picture()))


@pytest.mark.parametrize("rows", [
    [LabelRow("a", "b", None)],
    [LabelRow("a", "b", images(0)), LabelRow("a", "b", images(0, side=4))],
    [LabelRow("a", "b", images(0, channels=2))],
])  # fmt: skip
def test_rows_without_pictures_or_of_several_shapes_are_refused(rows: list[LabelRow]) -> None:
    with pytest.raises(ValueError, match="pictures have the shape"):
        grid(*rows)


def test_a_grid_without_numbers_leaves_no_room_for_them() -> None:
    bare = grid(LabelRow("do(A = 1)", "set", images(9)))
    judged = grid(LabelRow("do(A = 1)", "set", images(9), [Found("A", 1.0, 1.0)]))
    assert bare.picture().width < judged.picture().width - 200
    assert bare.judged == 100 and DoGivenGrid(name="a", caption="", blocks=bare.blocks, levels=256).judged == 0


def test_rows_are_named_in_the_papers_notation() -> None:
    assert words_of_row("do", {"A": 1, "B": 0})[0] == "do(A = 1, B = 0)"
    assert words_of_row("given", {"A": 1}) == ("given A = 1", "only draws in which it happened")


def test_a_sweep_has_a_row_a_label_and_a_column_a_value() -> None:
    found = sweep_grid("sweep", [("A", images(1, 3)), ("B", images(2, 3))], [0.0, 0.5, 1.0], 256)
    assert found.shape == (2, 3) and found.row_titles == ["A", "B"] and found.column_titles == ["0", "0.5", "1"]
    assert found.images[0].max() == 1 and found.images[-1].max() == 2
    assert isinstance(found, CaptionedGrid) and "moves one label from 0 to 1" in found.caption
    with pytest.raises(ValueError, match="Expected 2"):
        sweep_grid("sweep", [("A", images(1, 3))], [0.0, 1.0], 256)
    with pytest.raises(ValueError, match="no strip"):
        sweep_grid("sweep", [], [0.0, 1.0], 256)
