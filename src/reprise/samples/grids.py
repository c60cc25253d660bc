"""Grids that image models show: samples, completions, reconstructions, interpolations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from reprise.samples.images import ImageGrid


def sample_grid(drawn: Tensor, levels: int, name: str = "samples", words: str = "", group: str = "") -> ImageGrid:
    """Images (N, C, H, W) drawn from nothing."""
    caption = f"{len(drawn)} samples{words}"
    return ImageGrid(name=name, caption=caption, group=group, images=drawn.cpu(), levels=levels)


def columns_grid(name: str, caption: str, levels: int, columns: Sequence[tuple[str, Tensor]]) -> ImageGrid:
    """Titled columns of images (N, C, H, W): what belongs together stands in a row. A group of its own."""
    images = torch.stack([images.cpu().to(torch.uint8) for _, images in columns], 1).flatten(0, 1)
    return ImageGrid(
        name=name,
        caption=caption,
        group=name,
        images=images,
        levels=levels,
        columns=len(columns),
        column_titles=[title for title, _ in columns],
    )
