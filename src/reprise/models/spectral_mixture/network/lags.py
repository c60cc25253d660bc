"""Differences of inputs, each that occurs once: on a grid, N^2 pairs have N of them."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Lags(NamedTuple):
    """Differences of the rows of a (N, P) and b (M, P).

    Attributes:
        tau: differences (U, P); of one input, their absolute values.
        place: (N, M), which of them a pair has; None where U = N M, in that order.
        shape: (N, M).
    """

    tau: Tensor
    place: Tensor | None
    shape: tuple[int, int]

    def spread(self, values: Tensor) -> Tensor:
        """Values (S, U) of the differences as matrices (S, N, M) of the pairs."""
        if self.place is not None:
            values = values.index_select(1, self.place.reshape(-1))
        return values.reshape(len(values), *self.shape)


def lags(a: Tensor, b: Tensor) -> Lags:
    """Differences of a (N, P) and b (M, P).

    Of one input, those are taken as one that are equal to 1e-9 of the largest, if that leaves a quarter or less.
    """
    shape = (len(a), len(b))
    if a.shape[1] > 1:
        return Lags((a[:, None] - b[None]).reshape(-1, a.shape[1]), None, shape)
    tau = (a - b.T).abs().reshape(-1)
    codes = (tau / tau.max().clamp_min(1e-300) * 1e9).round().long()
    kept, index = codes.unique(return_inverse=True)
    if 4 * len(kept) > len(tau):
        return Lags(tau[:, None], None, shape)
    found = tau.new_full((len(kept),), float("inf")).scatter_reduce_(0, index, tau, "amin")
    return Lags(found[:, None], index.reshape(shape), shape)
