"""What is shown of a generator of labelled images: samples, interventions above conditions, labels moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from reprise.config.errors import DataError, RunError
from reprise.models.adversarial.source import Kind
from reprise.samples.base import Sample
from reprise.samples.grids import sample_grid
from reprise.samples.images import ImageGrid

_ROW = 10  # images of a row, as in the paper's figures


class Drawer(Protocol):
    """Draws labels, and images of them."""

    def draw_labels(self, count: int, kind: Kind, values: dict[str, int], generator: torch.Generator) -> Tensor:
        """Labels (count, n)."""

    def images_of(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Images (B, C, S, S) in [-1, 1] of labels (B, n)."""


def whole_numbers(x: Tensor, levels: int) -> Tensor:
    """Nearest whole numbers 0 ... levels - 1, uint8, of values in [-1, 1]; what is no number becomes black."""
    values = (x.float().nan_to_num(-1.0, 1.0, -1.0) + 1.0) * ((levels - 1) / 2)
    return values.round().clamp(0, levels - 1).to(torch.uint8)


def pictures(drawn: Tensor, drawer: Drawer, labels: Sequence[str], levels: int) -> list[Sample]:
    """Samples as they are observed, and for some labels a row of do(label = 1) above one of the condition.

    Args:
        drawn: (N, C, S, S) in [-1, 1].
        drawer: the model.
        labels: to be set and to be asked for.
        levels: of the images.
    """
    found: list[Sample] = [sample_grid(whole_numbers(drawn, levels), levels)]
    rows = [row for label in labels for row in do_above_given(drawer, label)]
    if rows:
        images = whole_numbers(torch.cat([images for _, images in rows]), levels)
        found.append(
            ImageGrid(
                name="do_and_given",
                caption="labels set (do) above labels that happened (given)",
                group="do_and_given",
                images=images,
                levels=levels,
                columns=_ROW,
                row_titles=[title for title, _ in rows],
            )
        )
    return found


def do_above_given(drawer: Drawer, label: str) -> list[tuple[str, Tensor]]:
    """Title and images (10, C, S, S) of do(label = 1) and of the condition; the latter only where it can be drawn."""
    found = []
    titles: dict[Kind, str] = {"do": f"do({label} = 1)", "given": f"given {label} = 1"}
    for kind, title in titles.items():
        generator = torch.Generator().manual_seed(1)
        try:
            labels = drawer.draw_labels(_ROW, kind, {label: 1}, generator)
        except (DataError, RunError):  # a label that does not occur, or that a controller has lost
            continue
        generator.manual_seed(2)  # the same noise in both rows
        found.append((title, drawer.images_of(labels, generator).cpu()))
    return found
