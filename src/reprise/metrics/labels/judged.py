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
    """Share of images that are judged to have the value that was asked for, by label; NaN where one is not judged.

    Args:
        answers: (B, n), see `judged_share`.
        labels: (B, n) of 0 and 1, that the images were made from.
        names: of the labels.
    """
    right = (answers == labels.to(answers)).double().masked_fill(answers.isnan(), float("nan")).mean(0)
    return dict(zip(names, right.tolist(), strict=True))
