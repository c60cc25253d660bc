"""Draws belong to an example; global generators belong to a rank."""

from __future__ import annotations

import torch

from reprise.nn.randomness import ExampleDraws, rank_seed


def test_uniform_numbers_of_an_example_do_not_depend_on_the_batch() -> None:
    together = ExampleDraws(3, "a", [5, 9]).uniform(4, 2)
    assert together.shape == (2, 4, 2)
    assert torch.equal(ExampleDraws(3, "a", [9]).uniform(4, 2)[0], together[1])
    assert ((together >= 0) & (together < 1)).all()
    assert torch.equal(ExampleDraws(3, "a", [5, 9]).uniform(), together[:, 0, 0])
    assert not torch.equal(ExampleDraws(3, "b", [5]).uniform(4, 2)[0], together[0])


def test_ranks_have_seeds_of_their_own() -> None:
    seeds = {rank_seed(seed, rank) for seed in range(20) for rank in range(1, 20)}
    assert len(seeds) == 20 * 19
    assert rank_seed(0, 1) == rank_seed(0, 1)
    torch.manual_seed(max(seeds))  # within what torch takes
