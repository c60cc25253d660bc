"""Problems that are learned whole: one example is the data set, one iteration is a pass over it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from reprise.config.errors import ConfigError
from reprise.data.module import StreamDataModule
from reprise.data.stream import StreamSampler


class FullBatchData(StreamDataModule):
    """Serves one problem, a dictionary, in every iteration, validation and test.

    Args:
        seed: the run's.
        batch_size: 1, the whole problem.

    Raises:
        ConfigError: another batch size.
    """

    def __init__(self, seed: int, batch_size: int = 1) -> None:
        if batch_size != 1:
            raise ConfigError(f"data.batch_size is {batch_size}. Expected 1: an example is the whole problem.")
        super().__init__(batch_size, seed, eval_batch_size=1)
        self._moved: tuple[torch.device, dict[str, Any]] | None = None

    @abstractmethod
    def problem(self) -> dict[str, Any]:
        """The problem, the same object at each call after `setup`; it holds `position` (0) and `id`."""

    def train_set(self) -> Dataset[dict[str, Any]]:
        """The problem at every position of the stream."""
        return _Whole(self)

    def eval_set(self, split: str) -> Dataset[dict[str, Any]]:
        """The problem, which holds all splits."""
        return _Whole(self)

    def epoch_size(self) -> int:
        """One: an iteration is a pass over the data."""
        return 1

    def collate(self) -> Callable[[list[Any]], Any] | None:
        """Hand the problem on as it is."""
        return _only

    def eval_collate(self) -> Callable[[list[Any]], Any] | None:
        """Hand the problem on as it is."""
        return _only

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move the problem once, not in every iteration."""
        if self._moved is None or self._moved[0] != device:
            self._moved = device, {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}
        return self._moved[1]

    def _loader(self, dataset: Dataset[Any], sampler: StreamSampler, collate: Any) -> DataLoader[Any]:
        return DataLoader(dataset, batch_sampler=sampler, collate_fn=collate)  # pinning would copy it in each iteration


class _Whole(Dataset[dict[str, Any]]):
    def __init__(self, data: FullBatchData) -> None:
        self.data = data

    def __len__(self) -> int:
        return 1

    def __getitem__(self, position: int) -> dict[str, Any]:
        return self.data.problem()


def _only(items: list[Any]) -> Any:
    return items[0]
