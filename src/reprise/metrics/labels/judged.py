"""What a judge finds in images: answers to queries, and agreement with the labels that were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def judged_share(answers: Tensor, names: Sequence[str], event: Mapping[str, int]) -> float:
    """Share of images in which every label of an event is judged to have its value.

    Args:
        answers: (B, n) of 0.0 and 1.0, NaN for labels that are not judged (`Judge.answers`).
        names: of the labels.
        event: values of some labels.

    Returns:
        the share; NaN where a label of the event is not judged, or there are no images.
    """
    columns = [list(names).index(name) for name in event]
    chosen = answers[:, columns]
    if not len(chosen) or bool(chosen.isnan().any()):
        return float("nan")
    wanted = torch.tensor(list(event.values()), dtype=chosen.dtype, device=chosen.device)
    return float((chosen == wanted).all(1).double().mean())


def label_share(labels: Tensor, names: Sequence[str], event: Mapping[str, int]) -> float:
    """Share of rows of labels (B, n) in which an event holds; what `judged_share` is to be compared with."""
    return judged_share(labels.double(), names, event)


def agreement(answers: Tensor, labels: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Share of images that are judged to have the value that was asked for, by label: the mean of both values' shares.

    Were it the share of all images, a judge that never sees a rare label would agree nearly always. It is NaN where a
    label is not judged, or where only one value of it was asked for.

    Args:
        answers: (B, n), see `judged_share`.
        labels: (B, n) of 0 and 1, that the images were made from.
        names: of the labels.
    """
    asked = labels.to(answers)
    right = (answers == asked).double().masked_fill(answers.isnan(), float("nan"))
    zeros, ones = ((right * (asked == value)).sum(0) / (asked == value).sum(0) for value in (0, 1))
    return dict(zip(names, ((zeros + ones) / 2).tolist(), strict=True))
