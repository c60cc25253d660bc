"""Blocks of queries give the values and the gradients of whole matrices."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import grad, gradcheck

from reprise.nn.attention import blockwise
from reprise.nn.attention.blockwise import average, average_each
from reprise.nn.attention.softmax import masked_softmax

FLOOR = 1e-5


def made(dtype: torch.dtype = torch.float64, queries: int = 13, keys: int = 11) -> list[Tensor]:
    """phi_q, phi_k, a, b, v for B = 2, H = 3, F = 6, d_v = 4."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 3, queries, 6), (2, 3, keys, 6), (2, 3, queries), (2, 3, keys), (2, 3, keys, 4)]
    return [torch.randn(s, generator=generator, dtype=dtype).requires_grad_() for s in shapes]


def whole(phi_q: Tensor, phi_k: Tensor, b: Tensor, v: Tensor, squared: bool, allowed: Tensor | None) -> Tensor:
    estimate = phi_q @ phi_k.transpose(-1, -2)
    similarity = estimate.square() if squared else estimate.clamp(min=0.0)
    return masked_softmax((similarity + FLOOR).log() + b.unsqueeze(-2), allowed) @ v


@pytest.mark.parametrize("block", [None, 4, 100])
@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_blocks_equal_the_whole(block: int | None, squared: bool, masked: bool) -> None:
    phi_q, phi_k, a, b, v = made(torch.float32)
    allowed = torch.rand(2, 1, 1, 11, generator=torch.Generator().manual_seed(1)) < 0.6 if masked else None
    expected = whole(phi_q, phi_k, b, v, squared, allowed)
    upper = torch.randn_like(expected)
    inputs = (phi_q, phi_k, b, v)
    exact = grad(expected, inputs, upper)
    shared = None if allowed is None else allowed.squeeze(-2)
    first = average(phi_q, phi_k, b, v, floor=FLOOR, squared=squared, allowed=shared, block=block)
    each = average_each(phi_q, phi_k, a, b, v, floor=FLOOR, squared=squared, allowed=allowed, block=block)
    for found in (first, each):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        for mine, its in zip(grad(found, inputs, upper), exact, strict=True):
            torch.testing.assert_close(mine, its, atol=1e-5, rtol=1e-4)


def test_masks_of_each_query_and_queries_without_keys() -> None:
    phi_q, phi_k, a, b, v = made()
    allowed = torch.ones(13, 11, dtype=torch.bool).tril(-1)  # the first query has nothing to attend to
    found = average_each(phi_q, phi_k, a, b, v, floor=FLOOR, allowed=allowed, block=5)
    torch.testing.assert_close(found, whole(phi_q, phi_k, b, v, True, allowed))
    assert not found[:, :, 0].any()
    assert all(g.isfinite().all() for g in grad(found.sum(), (phi_q, phi_k, b, v)))
    nothing = average(phi_q, phi_k, b, v, floor=FLOOR, allowed=torch.zeros(11, dtype=torch.bool))
    assert not nothing.any() and all(g.isfinite().all() for g in grad(nothing.sum(), (phi_q, phi_k, b, v)))


def test_derivatives_are_right_with_dropout_and_a_mask() -> None:
    inputs = made(queries=5, keys=4)
    allowed = torch.ones(5, 4, dtype=torch.bool).tril(1)
    settings = {"floor": FLOOR, "dropout": 0.3, "seed": 5, "block": 2, "allowed": allowed}
    assert gradcheck(lambda *t: average_each(*t, **settings), inputs)
    phi_q, phi_k, _, b, v = inputs
    assert gradcheck(lambda *t: average(*t, floor=FLOOR, block=2), (phi_q, phi_k, b, v))


def test_dropout_keeps_its_share_and_its_seed() -> None:
    phi_q, phi_k, a, b, v = (t.detach() for t in made())
    settings = {"floor": FLOOR, "dropout": 0.4, "block": 4}
    one = average_each(phi_q, phi_k, a, b, v, seed=1, **settings)
    assert torch.equal(one, average_each(phi_q, phi_k, a, b, v, seed=1, **settings))
    assert not torch.allclose(one, average_each(phi_q, phi_k, a, b, v, seed=2, **settings))
    kept = blockwise._kept(torch.empty(400, 500), 0.4, 3)
    assert kept.unique().tolist() == pytest.approx([0.0, 1 / 0.6])
    assert float((kept > 0).float().mean()) == pytest.approx(0.6, abs=0.005)


def test_large_magnitudes_neither_overflow_nor_vanish() -> None:
    phi_q, phi_k, a, b, v = (t.detach() for t in made(torch.float32))
    b = 200 * b
    torch.testing.assert_close(average(phi_q, phi_k, b, v, floor=FLOOR), whole(phi_q, phi_k, b, v, True, None))
    allowed = torch.ones(13, 11, dtype=torch.bool).tril()  # the largest key is hidden from most queries
    found = average_each(phi_q, phi_k, a, b, v, floor=FLOOR, allowed=allowed)
    torch.testing.assert_close(found, whole(phi_q, phi_k, b, v, True, allowed))


def test_a_block_has_as_many_queries_as_memory_is_set_aside_for() -> None:
    assert blockwise.block_size(8 * 5875**2, 5875, None) * 8 * 5875 <= blockwise.PAIRS
    assert blockwise.block_size(8 * 527**2, 527, None) == 527
    assert blockwise.block_size(10**12, 7, None) == 1 and blockwise.block_size(100, 10, 64) == 10
