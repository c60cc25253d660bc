"""Errors of classes and of sequences of classes, in percent."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar

from torch import Tensor

from reprise.metrics.base import WeightedMean


def edit_distance(hypothesis: Sequence[Hashable], reference: Sequence[Hashable]) -> int:
    """Fewest substitutions, deletions and insertions that make the hypothesis of the reference (Levenshtein)."""
    row = list(range(len(hypothesis) + 1))  # distances of what was seen of the reference to all beginnings
    for i, wanted in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, found in enumerate(hypothesis, 1):
            best = min(diagonal + (found != wanted), row[j] + 1, row[j - 1] + 1)
            diagonal, row[j] = row[j], best
    return row[-1]


class EditErrorRate(WeightedMean):
    """100 (S + D + I) / N, N being the length of all references: phone or word error rate; may exceed 100.

    The state is two whole numbers, so that the order of sequences and the number of processes do not matter.
    """

    unit: ClassVar[str] = "%"

    def update(self, hypothesis: Sequence[Hashable], reference: Sequence[Hashable]) -> None:
        """Add one sequence with its reference."""
        self.total += edit_distance(hypothesis, reference)
        self.weight += len(reference)

    def compute(self) -> Tensor:
        """Return the rate in percent, NaN where no reference has anything."""
        return 100.0 * super().compute()


class ClassErrorPercent(WeightedMean):
    """Share of examples (frames, clips) whose class is wrong, in percent; those of class -1, unknown, do not count."""

    unit: ClassVar[str] = "%"

    def update(self, predicted: Tensor, target: Tensor) -> None:
        """Add examples: classes of one shape, int64."""
        if predicted.shape != target.shape:
            raise ValueError(f"expected one shape; received {tuple(predicted.shape)} and {tuple(target.shape)}")
        known = target >= 0
        self.add_each(predicted[known] != target[known])

    def compute(self) -> Tensor:
        """Return the share in percent, NaN when nothing was added."""
        return 100.0 * super().compute()
