"""No data: for studies that make their own numbers."""

from __future__ import annotations

from typing import Any

import torch

from reprise.data.full_batch import FullBatchData


class Nothing(FullBatchData):
    """One empty problem.

    Args:
        seed: the run's.
        batch_size: 1.
            limit_val, limit_test: not used; budgets of all models name them.
    """

    def __init__(
        self, seed: int, batch_size: int = 1, limit_val: int | None = None, limit_test: int | None = None
    ) -> None:
        super().__init__(seed, batch_size)
        self._problem = {"position": torch.zeros(1, dtype=torch.long), "id": "none"}

    def setup(self, stage: str) -> None:
        """There is nothing to read."""

    def problem(self) -> dict[str, Any]:
        """A problem without data."""
        return self._problem

    def data_digests(self) -> dict[str, Any]:
        """That there are no data."""
        return {"data": "none"}
