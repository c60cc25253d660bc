"""Total variation distance between sampled labels and a law over all of their combinations."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric


class LabelTVD(Metric):
    """Half the sum of |p - q| over all combinations of n binary labels (Kocaoglu et al. 2018).

    The released code (figure_scripts/pairwise.py) drops sampled combinations that the data lack and lets the others sum
    to one again; `as_released` does so. Without it they count with what was drawn of them.

    The state counts combinations, so batches, their order and the number of processes do not matter.

    Args:
        law: (2^n,) probabilities; the first label is the highest binary digit of a combination's place.
        as_released: leave out combinations of probability 0.

    Attributes:
        version: protocol version; raised when the definition changes.

    Raises:
        ValueError: the law is no law over binary labels.
    """

    version: ClassVar[int] = 1
    higher_is_better: bool | None = False
    is_differentiable: bool | None = False
    full_state_update: bool | None = False

    def __init__(self, law: Tensor, as_released: bool = False) -> None:
        super().__init__()
        n = len(law).bit_length() - 1
        if law.ndim != 1 or n < 1 or len(law) != 1 << n or abs(float(law.sum()) - 1.0) > 1e-6:
            raise ValueError(f"a law has the shape {tuple(law.shape)}. Expected (2^n,) probabilities that sum to 1.")
        self.labels, self.as_released = n, as_released
        self.register_buffer("law", law.double(), persistent=False)
        self.add_state("counts", torch.zeros(len(law), dtype=torch.float64), dist_reduce_fx="sum")
        self.law: Tensor
        self.counts: Tensor

    def update(self, labels: Tensor) -> None:
        """Add rows (B, n); a label counts as 1 above 0.5."""
        if labels.ndim != 2 or labels.shape[1] != self.labels:
            raise ValueError(f"labels have the shape {tuple(labels.shape)}. Expected (B, {self.labels}).")
        self.counts += count_combinations(labels).to(self.counts)

    def compute(self) -> Tensor:
        """Return the distance, NaN when nothing was added or nothing is left."""
        return tvd_of_counts(self.counts, self.law, self.as_released)


def count_combinations(labels: Tensor) -> Tensor:
    """How often each combination of n labels occurs among rows (B, n): (2^n,) int64; above 0.5 counts as 1."""
    n = labels.shape[1]
    digits = 1 << torch.arange(n - 1, -1, -1, device=labels.device)
    return torch.bincount(((labels > 0.5) * digits).sum(1), minlength=1 << n)


def tvd_of_counts(counts: Tensor, law: Tensor, as_released: bool) -> Tensor:
    """Distance () of counted combinations (2^n,) from a law (2^n,), in float64; NaN where nothing counts.

    Args:
        counts: how often each combination was drawn.
        law: its probability.
        as_released: leave out combinations of probability 0.
    """
    kept = counts.double()
    if as_released:
        kept = torch.where(law > 0, kept, 0.0)
    return (kept / kept.sum() - law).abs().sum() / 2
