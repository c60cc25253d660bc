"""Features of nodes, as they are or, where most are zero, without the zeros."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from reprise.nn.dropout import dropped
from reprise.nn.graphs.operations import sparse

DENSE = 0.1  # share of values other than zero from which on a dense product is faster


class SparseFeatures:
    """A matrix (N, F) of compressed rows that is only multiplied with.

    Args:
        values: (K,) of the entries, row by row.
        starts: (N + 1,) int32, where rows begin.
        columns: (K,) int32.
        back: (K,) the entries sorted by column.
        back_starts: (F + 1,) int32, where columns begin among these.
        back_rows: (K,) int32, rows of the entries sorted by column.
    """

    def __init__(
        self, values: Tensor, starts: Tensor, columns: Tensor, back: Tensor, back_starts: Tensor, back_rows: Tensor
    ) -> None:
        self.values = values
        self.starts = starts
        self.columns = columns
        self.back = back
        self.back_starts = back_starts
        self.back_rows = back_rows

    @classmethod
    def of(cls, x: Tensor) -> SparseFeatures:
        """The entries of a dense matrix (N, F) that are not zero."""
        rows, columns = x.nonzero(as_tuple=True)
        back = torch.argsort(columns, stable=True)
        return cls(
            x[rows, columns],
            _starts(rows, x.shape[0]),
            columns.int(),
            back.int(),
            _starts(columns, x.shape[1]),
            rows[back].int(),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(N, F)."""
        return len(self.starts) - 1, len(self.back_starts) - 1

    def to(self, device: torch.device | str) -> SparseFeatures:
        """The same on a device."""
        parts = (self.values, self.starts, self.columns, self.back, self.back_starts, self.back_rows)
        return SparseFeatures(*(part.to(device) for part in parts))

    def dropped(self, share: float) -> SparseFeatures:
        """Dropout of entries; of those that are zero it would change nothing."""
        values = dropped(self.values, share)
        return SparseFeatures(values, self.starts, self.columns, self.back, self.back_starts, self.back_rows)

    def __matmul__(self, weight: Tensor) -> Tensor:
        return _Product.apply(weight, self)  # type: ignore[no-any-return]


Features = Tensor | SparseFeatures


def compact(x: Tensor) -> Features:
    """Features (N, F) in the form that is multiplied faster."""
    share = torch.count_nonzero(x) / max(1, x.numel())
    return SparseFeatures.of(x) if float(share) < DENSE else x


def drop_features(x: Features, share: float, training: bool) -> Features:
    """Dropout of single features, in training."""
    if not training or not share:
        return x
    return x.dropped(share) if isinstance(x, SparseFeatures) else dropped(x, share)


def _starts(indices: Tensor, size: int) -> Tensor:
    ends = torch.bincount(indices, minlength=size).cumsum(0)
    return torch.cat([ends.new_zeros(1), ends]).int()


class _Product(torch.autograd.Function):
    """X W with the gradient X^T G of W, both sparse products; X needs none."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, x: SparseFeatures) -> Tensor:
        ctx.x = x
        return sparse(x.starts, x.columns, x.values, x.shape) @ weight

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x = ctx.x
        transposed = sparse(x.back_starts, x.back_rows, x.values.index_select(0, x.back), x.shape[::-1])
        return transposed @ gradients[0].contiguous(), None
