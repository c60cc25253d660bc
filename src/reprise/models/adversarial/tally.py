"""Means of what networks log of each other, from one row of the log to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class Tally(nn.Module):
    """Sums and counts by name, kept in checkpoints, so that a resumed run logs what the uninterrupted one would have.

    Lightning would log a value again and again that was last seen long ago, and forget it when a run is resumed.

    Args:
        names: that are ever added.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.register_buffer("sums", torch.zeros(len(names), dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(len(names), dtype=torch.float64))
        self.sums: Tensor
        self.counts: Tensor

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add a number () for some of the names."""
        places = torch.tensor([self.names.index(name) for name in values], device=self.sums.device)
        stacked = torch.stack([value.detach().to(self.sums) for value in values.values()])
        self.sums.index_add_(0, places, stacked)
        self.counts.index_add_(0, places, torch.ones_like(stacked))

    def take(self) -> dict[str, float]:
        """Means of what was added since the last call, of those names of which there is something."""
        sums, counts = self.sums.tolist(), self.counts.tolist()
        self.sums.zero_()
        self.counts.zero_()
        return {name: s / n for name, s, n in zip(self.names, sums, counts, strict=True) if n}
