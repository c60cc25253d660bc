"""Softmax over what is allowed."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_softmax(logits: Tensor, allowed: Tensor | None) -> Tensor:
    """Softmax over the last axis; 0 where it is not allowed, and all of them where nothing is.

    Args:
        logits: (..., N, M).
        allowed: bool, broadcasts to the logits; None allows all.

    Returns:
        (..., N, M).
    """
    if allowed is None:
        return logits.softmax(-1)
    lowest = torch.finfo(logits.dtype).min  # not -inf, of which a row of nothing else makes NaN
    return logits.masked_fill(~allowed, lowest).softmax(-1).masked_fill(~allowed, 0.0)


def segment_softmax(logits: Tensor, segments: Tensor, count: int) -> Tensor:
    """Softmax over the entries that share a segment, such as the edges that end in one node.

    Args:
        logits: (E, ...).
        segments: (E,) of int64 in 0 ... count - 1.
        count: number of segments.

    Returns:
        (E, ...), which add to 1 in each segment.
    """
    index = segments.view(-1, *[1] * (logits.dim() - 1)).expand_as(logits)
    size = (count, *logits.shape[1:])
    largest = logits.new_full(size, float("-inf")).scatter_reduce(0, index, logits.detach(), "amax")
    weights = (logits - largest[segments]).exp()
    return weights / logits.new_zeros(size).index_add(0, segments, weights)[segments]
