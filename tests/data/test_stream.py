"""Who reads which example when."""

from __future__ import annotations

import itertools

import pytest

from reprise.config.errors import ConfigError, DataError
from reprise.data.stream import ShardSampler, StreamSampler, divide_batch, example_at


def positions(world: int, accumulate: int, iterations: int, start: int = 0, batch: int = 12) -> list[list[int]]:
    """Positions of each iteration, all ranks and micro-batches together."""
    ranks = [StreamSampler(batch, r, world, accumulate, start) for r in range(world)]
    taken = [list(itertools.islice(s, iterations * accumulate)) for s in ranks]
    return [
        sorted(p for rank in taken for micro in rank[i * accumulate : (i + 1) * accumulate] for p in micro)
        for i in range(iterations)
    ]


@pytest.mark.parametrize(("world", "accumulate"), [(1, 1), (2, 1), (1, 3), (2, 3), (3, 2), (4, 3)])
def test_an_iteration_reads_the_same_examples_for_any_world(world: int, accumulate: int) -> None:
    expected = [list(range(12 * i, 12 * i + 12)) for i in range(5)]
    assert positions(world, accumulate, 5) == expected
    assert positions(world, accumulate, 2, start=3) == expected[3:]


def test_each_epoch_reads_every_example_once() -> None:
    for size in (1, 7, 10):
        for epoch in range(3):
            assert sorted(example_at(epoch * size + i, 0, size) for i in range(size)) == list(range(size))
    order = [[example_at(e * 50 + i, 0, 50) for i in range(50)] for e in range(2)]
    assert order[0] != order[1]
    assert order[0] != [example_at(i, 1, 50) for i in range(50)]


def test_division() -> None:
    assert divide_batch(256, 8, None) == (32, 1)
    assert divide_batch(256, 2, 32) == (32, 4)
    assert divide_batch(12, 1, 5) == (4, 3)
    with pytest.raises(
        ConfigError, match=r"Process counts that fit: 1, 2, 5, 10; batch sizes that fit 3 processes: 9 or 12"
    ):
        divide_batch(10, 3, None)
    with pytest.raises(ConfigError, match="max_device_batch"):
        divide_batch(10, 1, -1)


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_shards_cover_each_example_exactly_once(world: int) -> None:
    shards = [[i for batch in ShardSampler(7, 2, r, world) for i in batch] for r in range(world)]
    assert sorted(i for s in shards for i in s) == list(range(7))
    assert [len(list(ShardSampler(7, 2, r, world))) for r in range(world)] == [
        len(ShardSampler(7, 2, r, world)) for r in range(world)
    ]


def test_more_processes_than_examples_is_an_error() -> None:
    with pytest.raises(DataError, match="at least one each"):
        ShardSampler(2, 1, 0, 3)
