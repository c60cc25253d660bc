"""Which example is read when: an endless stream of training examples, and exact shards for evaluation.

Position p of the stream reads example permutation_e[i] with e, i = divmod(p, N). Iteration k of a run takes positions
[k B, (k + 1) B), B being the global batch size, whatever the number of processes and accumulation steps. An epoch is
thus N / B iterations, which need not be whole: what is left over starts the next batch.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from reprise.config.errors import ConfigError, DataError


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, size: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(size)


def example_at(position: int, seed: int, size: int) -> int:
    """Index of the example that the stream reads at `position`."""
    epoch, i = divmod(position, size)
    return int(_permutation(seed, epoch, size)[i])


def divide_batch(batch_size: int, world_size: int, max_device_batch: int | None) -> tuple[int, int]:
    """Split the global batch over processes and accumulation steps.

    Returns:
        (examples per process and step, accumulation steps); as few steps as fit `max_device_batch`.

    Raises:
        ConfigError: the batch does not divide; the message lists what does.
    """
    if batch_size < 1:
        raise ConfigError(f"data.batch_size is {batch_size}. Expected 1 or more.")
    if batch_size % world_size:
        below, above = batch_size // world_size * world_size, -(-batch_size // world_size) * world_size
        fitting = [str(d) for d in range(1, min(batch_size, 64) + 1) if batch_size % d == 0]
        sizes = f"{below} or {above}" if below else str(above)
        raise ConfigError(
            f"data.batch_size={batch_size} does not divide over {world_size} processes. Process counts that fit: "
            f"{', '.join(fitting)}; batch sizes that fit {world_size} processes: {sizes}."
        )
    per_process = batch_size // world_size
    limit = max_device_batch or per_process
    if limit < 1:
        raise ConfigError(f"data.max_device_batch is {max_device_batch}. Expected 1 or more, or null.")
    size = next(d for d in range(min(limit, per_process), 0, -1) if per_process % d == 0)
    return size, per_process // size


class StreamSampler(Sampler[list[int]]):
    """Yields the positions of each micro-batch of one process, for ever.

    Args:
        batch_size: global batch size B.
        rank, world_size: this process among all.
        accumulate: micro-batches per iteration.
        start: iteration to begin with.
    """

    def __init__(self, batch_size: int, rank: int, world_size: int, accumulate: int, start: int = 0) -> None:
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.accumulate = accumulate
        self.start = start

    def __iter__(self) -> Iterator[list[int]]:
        size = self.batch_size // (self.world_size * self.accumulate)
        iteration = self.start
        while True:
            for step in range(self.accumulate):
                first = iteration * self.batch_size + (step * self.world_size + self.rank) * size
                yield list(range(first, first + size))
            iteration += 1


class ShardSampler(Sampler[list[int]]):
    """Batches of the examples rank, rank + world_size, ...: each example exactly once over all processes.

    Raises:
        DataError: fewer examples than processes; a process without work would not take part in the metrics.
    """

    def __init__(self, size: int, batch_size: int, rank: int, world_size: int) -> None:
        if size < world_size:
            raise DataError(
                f"{size} examples are to be evaluated by {world_size} processes. Expected at least one each: "
                "use fewer processes or a larger split."
            )
        self.indices = list(range(rank, size, world_size))
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for i in range(0, len(self.indices), self.batch_size):
            yield self.indices[i : i + self.batch_size]
