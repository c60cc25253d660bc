"""Examples that are drawn from a distribution, as a data module."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch.utils.data import Dataset

from reprise.config.errors import ConfigError
from reprise.data.module import StreamDataModule
from reprise.data.stream import example_at
from reprise.nn.randomness import example_rng

_EPOCH = 10_000  # examples that are called an epoch where no example comes twice


class Distribution(ABC):
    """What examples are drawn from."""

    name: ClassVar[str]
    """Of the data set, part of the streams of random numbers."""

    @property
    @abstractmethod
    def dims(self) -> int:
        """D, values of an example."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """One example (D,), float32 or uint8."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the distribution depends on, for the run record."""


class GeneratedExamples(StreamDataModule):
    """Examples drawn one by one, each by its own random numbers.

    An item is {"x": (D,), "position": number, "id": its name, "group": 0}.

    Args:
        distribution: that they are drawn from.
        dims: D, values of an example, from which a model is built.
        batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test: see StreamDataModule.
        train_examples: a training set of so many examples, drawn once by split_seed and read in another order in each
            epoch; None for a new example at each position of the stream, drawn by the run's seed.
        val_examples, test_examples: held out, drawn by split_seed alone: the same in every run.
        split_seed: of the examples that runs share.

    Raises:
        ConfigError: a number is out of range, or the distribution has other dimensions.
    """

    def __init__(
        self,
        distribution: Distribution,
        dims: int,
        batch_size: int,
        seed: int,
        num_workers: int = 0,
        max_device_batch: int | None = None,
        eval_batch_size: int = 100,
        limit_val: int | None = None,
        limit_test: int | None = None,
        train_examples: int | None = None,
        val_examples: int = 1000,
        test_examples: int = 1000,
        split_seed: int = 0,
    ) -> None:
        super().__init__(batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test)
        counts = {"train_examples": train_examples, "val_examples": val_examples, "test_examples": test_examples}
        for key, value in counts.items():
            if value is not None and value < 1:
                raise ConfigError(f"data.{key} is {value}. Expected 1 or more.")
        if dims != distribution.dims:
            raise ConfigError(f"data.dims is {dims}, but examples have {distribution.dims} values. Set it to that.")
        self.distribution = distribution
        self.train_examples = train_examples
        self.sizes = {"val": val_examples, "test": test_examples}
        self.split_seed = split_seed

    def item(self, split: str, seed: int, number: int) -> dict[str, Any]:
        """One example of a split: a function of seed and number."""
        x = torch.from_numpy(self.distribution.draw(example_rng(seed, f"{self.distribution.name}-{split}", number)))
        return {"x": x, "position": number, "id": f"{split}-{number:06d}", "group": 0}

    def setup(self, stage: str) -> None:
        """There is nothing to read."""

    def train_set(self) -> Dataset[dict[str, Any]]:
        """Training examples by position in the stream."""
        return _Training(self)

    def eval_set(self, split: str) -> Dataset[dict[str, Any]]:
        """Held-out examples."""
        return _HeldOut(self, split, min(self.sizes[split], self.limits[split] or self.sizes[split]))

    def epoch_size(self) -> int:
        """Examples of the training set; 10,000 where no example comes twice."""
        return self.train_examples or _EPOCH

    def data_digests(self) -> dict[str, Any]:
        """The distribution, and digests of the examples that runs share."""
        drawn = self.distribution
        found: dict[str, Any] = {"generated": drawn.name, **drawn.settings(), "train_examples": self.train_examples}
        shared = self.sizes | ({} if self.train_examples is None else {"train": self.train_examples})
        for split, size in shared.items():
            digest = hashlib.sha256()
            for number in range(size):
                digest.update(self.item(split, self.split_seed, number)["x"].numpy().tobytes())
            found |= {f"{split}_examples": size, f"{split}_sha256": digest.hexdigest()}
        return found

    def sample_path(self, name: str, folder: Path) -> Path:
        """A CSV file of that name."""
        return folder / f"{name}.csv"

    def write_sample(self, name: str, sample: Any, folder: Path) -> Path:
        """Write one example (D,) as a line of comma-separated values, nine digits each."""
        path = self.sample_path(name, folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        values = sample.detach().cpu().numpy() if hasattr(sample, "detach") else np.asarray(sample)
        path.write_text(",".join(f"{value:.9g}" for value in values.reshape(-1).tolist()) + "\n", encoding="ascii")
        return path


class _Training(Dataset[dict[str, Any]]):
    def __init__(self, data: GeneratedExamples) -> None:
        self.data = data

    def __len__(self) -> int:
        return self.data.epoch_size()

    def __getitem__(self, position: int) -> dict[str, Any]:
        data = self.data
        if data.train_examples is None:
            return data.item("train", data.seed, position)
        number = example_at(position, data.seed, data.train_examples)
        return data.item("train", data.split_seed, number) | {"position": position}


class _HeldOut(Dataset[dict[str, Any]]):
    def __init__(self, data: GeneratedExamples, split: str, size: int) -> None:
        self.data = data
        self.split = split
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> dict[str, Any]:
        return self.data.item(self.split, self.data.split_seed, i)
