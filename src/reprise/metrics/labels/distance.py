"""How different images of one label are, by which label-conditioned mode collapse shows: a few prototypes per label.

The distance of two images is the mean over their values of |x - y|, as a share of the whole range: with values in
[-1, 1], half the mean absolute difference; 0 for equal images, 1 for black against white. It is a distance of pixels:
noise counts as difference too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from reprise.nn.causal.queries import words_of

_ROWS = 64  # of the table of pairs at once


def mean_pairwise_distance(images: Tensor) -> float:
    """Mean distance over all pairs of images (N, C, S, S) in [-1, 1]; NaN where there are fewer than two."""
    n = len(images)
    if n < 2:
        return float("nan")
    flat = images.reshape(n, -1).float()
    total = sum(float(torch.cdist(rows, flat, p=1.0).sum(dtype=torch.float64)) for rows in flat.split(_ROWS))
    return total / (n * (n - 1)) / flat.shape[1] / 2.0


def distances_by_label(images: Tensor, labels: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Mean distance among images of one value of one label.

    Args:
        images: (N, C, S, S) in [-1, 1].
        labels: (N, n) of 0 and 1.
        names: of the labels.

    Returns:
        by "mustache", "not_mustache" and so on; NaN where a value has fewer than two images.
    """
    found: dict[str, float] = {}
    for i, name in enumerate(names):
        for value in (1, 0):
            chosen = images[(labels[:, i] == value).to(images.device)]
            found[words_of({name: value})] = mean_pairwise_distance(chosen)
    return found


def intra_label_distance(images: Tensor, labels: Tensor, names: Sequence[str]) -> float:
    """Mean of `distances_by_label` over the values of labels that have two images or more; NaN where none has.

    Every value weighs the same, however rare: a collapse of a rare label is to be seen.
    """
    known = [value for value in distances_by_label(images, labels, names).values() if value == value]
    return sum(known) / len(known) if known else float("nan")
