"""What all data of labels alone share."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Subset

from reprise.causal.law import LabelLaw
from reprise.config.errors import ConfigError, suggest
from reprise.data.full_batch import FullBatchData
from reprise.samples.rows import Rows


class LabelData(FullBatchData):
    """All labels at once: {"labels": uint8 (N, K) of 0 and 1, "position": zeros (1,), "id": name of the data}.

    There are no splits: a sampler of labels is trained on all rows and held against the law of the same rows, as the
    papers do. What is drawn of them in an iteration is the model's.

    Args:
        seed: the run's.
        batch_size: rows of an iteration, which the model draws; all labels are served whatever it is, to each process.
        limit_val, limit_test: not used; budgets of all models name them.

    Attributes:
        label_names: names of the K columns; known before the data are read.

    Raises:
        ConfigError: the batch size is below 1.
    """

    label_names: list[str]

    def __init__(
        self, seed: int, batch_size: int = 1, limit_val: int | None = None, limit_test: int | None = None
    ) -> None:
        super().__init__(seed)
        if batch_size < 1:
            raise ConfigError(f"data.batch_size is {batch_size}. Expected 1 or more.")
        self.batch_size = batch_size
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

    def eval_set(self, split: str) -> Dataset[dict[str, Any]]:
        """All labels, once for each process."""
        return Subset(super().eval_set(split), [0] * self._world()[1])

    def epoch_size(self) -> int:
        """Rows."""
        return len(self.problem()["labels"])

    def held_out(self) -> int:
        """Rows; a sampler is held against those that it was trained on."""
        return self.epoch_size()

    def sample_path(self, name: str, folder: Path) -> Path:
        """NAME.csv."""
        return folder / f"{name}.csv"

    def write_sample(self, name: str, sample: Rows, folder: Path) -> Path:
        """Write drawn labels as a table with their names above."""
        replace(sample, name=name).write(folder)
        return self.sample_path(name, folder)

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
