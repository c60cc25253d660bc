"""The data module every dataset of the house derives from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from reprise.config.errors import ConfigError
from reprise.data.loader_process import start_loader
from reprise.data.stream import ShardSampler, StreamSampler, divide_batch


class StreamDataModule(pl.LightningDataModule):
    """Serves an endless, resumable stream for training and exact shards for evaluation.

    Subclasses give `prepare_data`, `setup` and the three datasets. A training dataset is indexed by the position in
    the stream, the others by the example. Position and world size are read from the trainer, so the same module
    serves one process, many, and a resumed run.

    Args:
        batch_size: global batch size, the paper's.
        seed: decides order and crops.
        num_workers: loader processes for each training process.
        max_device_batch: most examples a device holds at once; the rest is accumulated. None: no limit.
        eval_batch_size: examples per evaluation batch and process.
        limit_val, limit_test: evaluate only the first of the split; None for all.
    """

    def __init__(
        self,
        batch_size: int,
        seed: int,
        num_workers: int = 0,
        max_device_batch: int | None = None,
        eval_batch_size: int = 8,
        limit_val: int | None = None,
        limit_test: int | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("batch_size", batch_size), ("eval_batch_size", eval_batch_size)):
            if value < 1:
                raise ConfigError(f"data.{name} is {value}. Expected 1 or more.")
        if num_workers < 0:
            raise ConfigError(f"data.num_workers is {num_workers}. Expected 0 or more.")
        for name, limit in (("limit_val", limit_val), ("limit_test", limit_test)):
            if limit is not None and limit < 1:
                raise ConfigError(f"data.{name} is {limit}. Expected 1 or more, or null for all.")
        self.batch_size = batch_size
        self.seed = seed
        self.num_workers = num_workers
        self.max_device_batch = max_device_batch
        self.eval_batch_size = eval_batch_size
        self.limits = {"val": limit_val, "test": limit_test}
        self.iteration = 0  # iterations finished; the training loop keeps it up to date

    @abstractmethod
    def train_set(self) -> Dataset[Any]:
        """Dataset indexed by stream position."""

    @abstractmethod
    def eval_set(self, split: str) -> Dataset[Any]:
        """Dataset of split `val` or `test`, indexed by example."""

    def held_out(self) -> int:
        """Test examples that were not trained on."""
        return len(self.eval_set("test"))  # type: ignore[arg-type]

    @abstractmethod
    def epoch_size(self) -> int:
        """Examples in one epoch."""

    @abstractmethod
    def data_digests(self) -> dict[str, Any]:
        """What was really read: digests and counts for the run record. Called after `setup`."""

    def collate(self) -> Callable[[list[Any]], Any] | None:
        """Collate function of the training loader; None for torch's default."""
        return None

    def eval_collate(self) -> Callable[[list[Any]], Any] | None:
        """Collate function of the evaluation loaders; None for torch's default."""
        return None

    def read_inputs(self, path: Path) -> Iterable[tuple[str, Any]]:
        """Read what a model is to be conditioned on from a file or folder: (name, conditioning) pairs."""
        raise ConfigError(f"{type(self).__name__} offers no input to generate from.")

    def example_inputs(self, count: int) -> Iterable[tuple[str, Any]]:
        """The first `count` test examples, or as many as there are, as conditioning: (name, conditioning) pairs."""
        raise ConfigError(f"{type(self).__name__} offers no examples to generate from.")

    def sample_path(self, name: str, folder: Path) -> Path:
        """Where `write_sample` puts a sample."""
        raise ConfigError(f"{type(self).__name__} cannot write samples.")

    def write_sample(self, name: str, sample: Any, folder: Path) -> Path:
        """Write one generated sample in this data's own format and return its path."""
        raise ConfigError(f"{type(self).__name__} cannot write samples.")

    def seconds_of(self, sample: Any) -> float | None:
        """How long a generated sample plays; None where it does not play."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Position in the stream, for the checkpoint."""
        return {"iteration": self.iteration}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue at the position of a checkpoint."""
        self.iteration = int(state_dict["iteration"])

    def divide_for(self, world_size: int) -> tuple[int, int]:
        """(examples per process and micro-batch, micro-batches per iteration) for so many processes."""
        return divide_batch(self.batch_size, world_size, self.max_device_batch)

    def _world(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def train_dataloader(self) -> DataLoader[Any]:
        """Loader of this process's part of the stream, from the current position on."""
        rank, world_size = self._world()
        _, accumulate = self.divide_for(world_size)
        sampler = StreamSampler(self.batch_size, rank, world_size, accumulate, self.iteration)
        return self._loader(self.train_set(), sampler, self.collate())

    def val_dataloader(self) -> DataLoader[Any]:
        """Loader of this process's shard of the validation split."""
        return self._eval_loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """Loader of this process's shard of the test split."""
        return self._eval_loader("test")

    def _eval_loader(self, split: str) -> DataLoader[Any]:
        rank, world_size = self._world()
        dataset = self.eval_set(split)
        sampler = ShardSampler(len(dataset), self.eval_batch_size, rank, world_size)  # type: ignore[arg-type]
        return DataLoader(dataset, batch_sampler=sampler, collate_fn=self.eval_collate())

    def _loader(self, dataset: Dataset[Any], sampler: StreamSampler, collate: Any) -> DataLoader[Any]:
        workers = self.num_workers
        return DataLoader(
            dataset,
            batch_sampler=sampler,
            num_workers=workers,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=workers > 0,
            prefetch_factor=4 if workers else None,
            worker_init_fn=start_loader,
        )
