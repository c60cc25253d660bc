"""Weights by which labels that come together are told apart."""

from __future__ import annotations

import torch
from torch import Tensor


def open_weights(labels: Tensor) -> Tensor:
    """How open each label of an image is, given its others: the share of the other value where the others are the same.

    So weighted, images with either value of a label weigh the same in all, and their other labels are distributed
    alike: nothing but the label itself tells one from the other. (Li, Morgan and Zaslavsky 2018, overlap weights.)

    Args:
        labels: (N, n) of 0 and 1.

    Returns:
        (N, n) float64 in [0, 1); 0 where all images with the same other labels have the same value.
    """
    found = torch.zeros(labels.shape, dtype=torch.float64)
    for i in range(labels.shape[1]):
        others = torch.cat([labels[:, :i], labels[:, i + 1 :]], 1)
        _, group = others.unique(dim=0, return_inverse=True) if others.shape[1] else (None, labels[:, 0].long() * 0)
        ones = labels[:, i].double()
        total = torch.zeros(len(labels), dtype=torch.float64).index_add_(0, group, torch.ones_like(ones))[group]
        share = torch.zeros(len(labels), dtype=torch.float64).index_add_(0, group, ones)[group] / total
        found[:, i] = torch.where(ones > 0.5, 1.0 - share, share)
    return found
