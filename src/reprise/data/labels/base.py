"""What all data of labels alone share."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from reprise.causal.law import LabelLaw
from reprise.config.errors import ConfigError, suggest
from reprise.data.full_batch import FullBatchData


class LabelData(FullBatchData):
    """All labels at once: {"labels": uint8 (N, K) of 0 and 1, "position": zeros (1,), "id": name of the data}.

    There are no splits: a sampler of labels is trained on all rows and held against the law of the same rows, as the
    papers do. What is drawn of them in an iteration is the model's.

    Args:
        seed: the run's.
        batch_size: 1, all labels; how many rows make a batch is the model's.
        limit_val, limit_test: not used; budgets of all models name them.

    Attributes:
        label_names: names of the K columns; known before the data are read.

    Raises:
        ConfigError: another batch size.
    """

    label_names: list[str]

    def __init__(
        self, seed: int, batch_size: int = 1, limit_val: int | None = None, limit_test: int | None = None
    ) -> None:
        super().__init__(seed, batch_size)
        self._problem: dict[str, Any] | None = None

    @abstractmethod
    def read(self) -> tuple[str, np.ndarray]:
        """Name of the data and labels (N, K) uint8, in the order of `label_names`.

        Raises:
            DataError: a file is missing, truncated, corrupt or not what its format says.
        """

    @abstractmethod
    def sources(self) -> dict[str, Any]:
        """What was read or drawn, for the run record."""

    def prepare_data(self) -> None:
        """Read the labels."""
        self.setup("fit")

    def setup(self, stage: str) -> None:
        """Read the labels, once."""
        if self._problem is None:
            name, rows = self.read()
            labels = torch.from_numpy(np.ascontiguousarray(rows, np.uint8))
            self._problem = {"labels": labels, "position": torch.zeros(1, dtype=torch.long), "id": name}

    def problem(self) -> dict[str, Any]:
        """All labels, read at the first call."""
        self.setup("fit")
        assert self._problem is not None
        return self._problem

    def law(self, names: Sequence[str] | None = None) -> LabelLaw:
        """Frequencies of all combinations of labels.

        Args:
            names: of these labels, in this order; None for `label_names`.

        Raises:
            ConfigError: the data lack one of them, or they are more than a table can hold.
        """
        chosen = self.label_names if names is None else names
        return LabelLaw.of_rows(chosen, self.problem()["labels"].numpy()[:, [self._column(name) for name in chosen]])

    def _column(self, name: str) -> int:
        if name not in self.label_names:
            raise ConfigError(f"The data have no label {name!r}. {suggest(name, self.label_names)}")
        return self.label_names.index(name)

    def data_digests(self) -> dict[str, Any]:
        """Digest of the labels, their number and names, and where they are from."""
        found = self.problem()
        rows = found["labels"].numpy()
        return {
            "name": found["id"],
            "rows": len(rows),
            "labels": list(self.label_names),
            "sha256": hashlib.sha256(rows.tobytes()).hexdigest(),
            **self.sources(),
        }
