"""Grids that image models show: what stands where, and in which group."""

from __future__ import annotations

import pytest
import torch

from reprise.samples.base import first_of_each_group
from reprise.samples.grids import columns_grid, sample_grid


def images(value: int, count: int = 3) -> torch.Tensor:
    return torch.arange(count, dtype=torch.uint8)[:, None, None, None] + torch.full(
        (count, 1, 2, 2), value, dtype=torch.uint8
    )


def test_samples_are_counted_and_may_have_a_group() -> None:
    plain, grouped = sample_grid(images(0), 16), sample_grid(images(0, 2), 16, "samples_ddim", ", ddim", "ddim")
    assert (plain.name, plain.group, plain.caption, plain.levels) == ("samples", "", "3 samples", 16)
    assert (grouped.name, grouped.group, grouped.caption) == ("samples_ddim", "ddim", "2 samples, ddim")
    assert torch.equal(plain.images, images(0))
    assert first_of_each_group([plain, plain, grouped, grouped], 1) == [plain, grouped]


def test_what_belongs_together_stands_in_a_row() -> None:
    grid = columns_grid("pairs", "both", 16, [("left", images(0)), ("right", images(8).long())])
    assert (grid.name, grid.group, grid.caption) == ("pairs", "pairs", "both")
    assert grid.columns == 2 and grid.column_titles == ["left", "right"] and grid.shape == (3, 2)
    assert grid.images[:, 0, 0, 0].tolist() == [0, 8, 1, 9, 2, 10]
    assert grid.images.dtype == torch.uint8


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(RuntimeError, match="equal size"):
        columns_grid("pairs", "", 16, [("left", images(0)), ("right", images(0, 2))])
