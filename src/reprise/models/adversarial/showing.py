"""What is shown of a generator of labelled images: samples, interventions above conditions, labels moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from reprise.config.errors import DataError, RunError
from reprise.models.adversarial.examine import Drawer
from reprise.samples.base import Sample
from reprise.samples.captioned import CaptionedGrid
from reprise.samples.labels import DoGivenGrid, LabelRow, words_of_row

_ROW = 10  # images of a row, as in the paper's figures


def whole_numbers(x: Tensor, levels: int) -> Tensor:
    """Nearest whole numbers 0 ... levels - 1, uint8, of values in [-1, 1]; what is no number becomes black."""
    values = (x.float().nan_to_num(-1.0, 1.0, -1.0) + 1.0) * ((levels - 1) / 2)
    return values.round().clamp(0, levels - 1).to(torch.uint8)


def samples_of(drawn: Tensor, levels: int, words: str, name: str = "samples") -> Sample:
    """Images (N, C, S, S) of whole numbers under a sentence on how they were made."""
    caption = f"{len(drawn)} images of labels {words}"
    return CaptionedGrid(name=name, caption=caption, images=drawn.cpu(), levels=levels)


def pictures(drawn: Tensor, drawer: Drawer, labels: Sequence[str], levels: int) -> list[Sample]:
    """Samples as they are observed, and for some labels a row of do(label = 1) above one of the condition.

    Args:
        drawn: (N, C, S, S) in [-1, 1].
        drawer: the model.
        labels: to be set and to be asked for.
        levels: of the images.
    """
    found: list[Sample] = [samples_of(whole_numbers(drawn, levels), levels, "as they are observed")]
    blocks = [do_above_given(drawer, label, levels) for label in labels]
    if blocks:
        caption = "labels that are set (do) above labels that happened (given)"
        found.append(
            DoGivenGrid(name="do_and_given", caption=caption, group="do_and_given", blocks=blocks, levels=levels)
        )
    return found


def do_above_given(drawer: Drawer, label: str, levels: int) -> list[LabelRow]:
    """Rows of do(label = 1) and of the condition, ten images each; of the latter only where it can be drawn."""
    found: list[LabelRow] = []
    kinds: tuple[Literal["do", "given"], ...] = ("do", "given")
    for kind in kinds:
        generator = torch.Generator().manual_seed(1)
        words, explained = words_of_row(kind, {label: 1})
        try:
            labels = drawer.draw_labels(_ROW, kind, {label: 1}, generator)
        except (DataError, RunError) as error:  # a label that does not occur, or that a controller has lost
            found.append(LabelRow(words, explained, None, trouble=str(error)))
            continue
        generator.manual_seed(2)  # the same noise in both rows
        images = whole_numbers(drawer.images_of(labels, generator), levels).cpu()
        found.append(LabelRow(words, explained, images))
    return found
