"""Room for the gates of an LSTM at one pixel, for sampling."""

from __future__ import annotations

import torch
from torch import Tensor


class GateRoom:
    """Gates o, f, i, g in one tensor, with views of its parts that are made once.

    Args:
        maps: (B, 4k), where they are put before the non-linearities; `update` overwrites it.
    """

    def __init__(self, maps: Tensor) -> None:
        width = maps.shape[1] // 4
        self.maps = maps
        self.logistic, self.g = self.maps[:, : 3 * width], self.maps[:, 3 * width :]
        self.o, self.f, self.i = self.logistic.split(width, 1)

    def update(self, cell: Tensor, state: Tensor) -> None:
        """Put the new cell (B, k) and state (B, k) in place of the old ones: f c + i g, o tanh(c) (eq. (3))."""
        self.logistic.sigmoid_()
        self.g.tanh_()
        torch.mul(self.o, cell.mul_(self.f).addcmul_(self.i, self.g).tanh(), out=state)
