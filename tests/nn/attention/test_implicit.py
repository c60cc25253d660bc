"""Attention with an implicit kernel: its equation, masks, the released departures, and averages without matrices."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.nn.attention.base import fixed_draw
from reprise.nn.attention.generated import GeneratedPoints
from reprise.nn.attention.implicit import ImplicitKernel
from reprise.nn.attention.norm import squared_norm
from reprise.nn.attention.spectral import DirectPoints, SpectralPoints

KINDS = [DirectPoints, partial(DirectPoints, tied=True), GeneratedPoints, partial(GeneratedPoints, copula=False)]


def made(points: Callable[..., SpectralPoints] = DirectPoints, **settings: Any) -> ImplicitKernel:
    torch.manual_seed(0)
    return ImplicitKernel(3, 8, partial(points, count=6), **settings).eval()


def inputs(queries: int = 7, keys: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(2, 3, queries, 8, generator=generator)
    return q, torch.randn(2, 3, keys, 8, generator=generator), torch.randn(2, 3, keys, 5, generator=generator)


def literal(attention: ImplicitKernel, q: Tensor, k: Tensor, scale: float) -> Tensor:
    """The logits of example 0, head 1, in the words of the paper."""
    first, second, _ = attention.points()
    rows = []
    for x in q[0, 1]:
        row = []
        for y in k[0, 1]:
            c, s = ([f(2 * math.pi * w[1] @ u) for w in (first, second)] for u in (x,) for f in (torch.cos, torch.sin))
            d, t = ([f(2 * math.pi * w[1] @ u) for w in (first, second)] for u in (y,) for f in (torch.cos, torch.sin))
            estimate = ((c[0] + c[1]) @ (d[0] + d[1]) + (s[0] + s[1]) @ (t[0] + t[1])) / (4 * 6)
            norms = x.norm(p=attention.p).square() + y.norm(p=attention.p).square()
            row.append((estimate.square() + 1e-5).log() + norms / (2 * scale))
        rows.append(torch.stack(row))
    return torch.stack(rows)


@pytest.mark.parametrize(
    ("settings", "scale"), [({}, math.sqrt(8)), ({"as_released": True}, 8**0.25), ({"scale": "as_released"}, 8**0.25)]
)
def test_weights_are_those_of_the_equation(settings: dict[str, Any], scale: float) -> None:
    attention, (q, k, _) = made(p=3.0, **settings), inputs(4, 5)
    expected = literal(attention, q, k, scale).softmax(-1)
    torch.testing.assert_close(attention.weights(q, k)[0, 1], expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("points", KINDS)
@pytest.mark.parametrize("p", [1.8, 2.0])
def test_averages_without_matrices_are_those_with_them(points: Callable[..., SpectralPoints], p: float) -> None:
    attention, (q, k, v), draw = made(points, p=p, block=3), inputs(), fixed_draw(0)
    q, k, v = (t.requires_grad_() for t in (q, k, v))
    for allowed in (None, torch.tensor([1, 1, 0, 1, 1, 1, 0]).bool()):
        found = attention(q, k, v, allowed=allowed, draw=draw).values
        expected = attention.weights(q, k, allowed=allowed, draw=draw) @ v
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        upper, of = torch.randn_like(found), (q, k, v, *attention.parameters())
        used = [torch.autograd.grad(t, of, upper, allow_unused=True) for t in (found, expected)]
        for mine, its in zip(*used, strict=True):
            if its is not None and mine is not None:
                torch.testing.assert_close(mine, its, atol=1e-5, rtol=1e-3)
            else:
                assert (mine is None or not mine.any()) and (its is None or not its.any())


def test_dropout_on_norms_keeps_the_query_in_play() -> None:
    attention, (q, k, v) = made(norm_dropout=0.5).train(), inputs()
    torch.manual_seed(1)
    one = attention(q, k, v).values
    torch.manual_seed(1)
    assert torch.equal(attention(q, k, v).values, one)
    torch.manual_seed(2)
    assert not torch.allclose(attention(q, k, v).values, one)
    q.requires_grad_()
    attention.magnitude(q).sum().backward()
    assert not torch.allclose(one, attention.eval()(q, k, v).values)


def test_padding_changes_nothing() -> None:
    """Values of what is there do not depend on what a mask hides, points that see the mean included."""
    for points in (DirectPoints, GeneratedPoints):
        attention, (q, k, v), draw = made(points), inputs(), fixed_draw(0)
        short = attention(q[:, :, :5], k[:, :, :5], v[:, :, :5], draw=draw)
        allowed = torch.arange(7) < 5
        long = attention(q, k, v, allowed=allowed[None, None, None], draw=draw)
        torch.testing.assert_close(long.values[:, :, :5], short.values, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(long.penalty, short.penalty)
        weights = attention.weights(q, k, allowed=allowed, draw=draw)
        assert not weights[..., 5:].any()
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 7))


def test_points_that_see_the_mean_refuse_masks_of_single_queries() -> None:
    causal = torch.ones(7, 7, dtype=torch.bool).tril()
    with pytest.raises(ConfigError, match="DirectPoints"):
        made(GeneratedPoints)(*inputs(), allowed=causal, draw=fixed_draw(0))
    attention = made()
    values = attention(*inputs(), allowed=causal).values
    q, k, v = inputs()
    changed = attention(q, k, torch.cat([v[:, :, :4], v[:, :, 4:] + 1], 2), allowed=causal).values
    torch.testing.assert_close(values[:, :, :4], changed[:, :, :4])
    with pytest.raises(ConfigError, match="pool=keys"):
        made(GeneratedPoints)(*inputs(4, 7), allowed=torch.ones(1, 7, dtype=torch.bool), draw=fixed_draw(0))
    crossed = made(GeneratedPoints, pool="keys")
    q, k, v = inputs(4, 7)
    moved = crossed(q + 1, k, v, draw=fixed_draw(0)).penalty  # queries are not looked at
    torch.testing.assert_close(crossed(q, k, v, draw=fixed_draw(0)).penalty, moved)


def test_half_precision_around_it_changes_little() -> None:
    attention, (q, k, v), draw = made(GeneratedPoints), inputs(), fixed_draw(0)
    exact = attention(q, k, v, draw=draw)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(attention(q, k, v, draw=draw).values, exact.values)
        half = attention(*(x.bfloat16() for x in (q, k, v)), draw=draw)
        assert torch.equal(attention.weights(q, k, draw=draw), attention.weights(q, k, draw=draw).float())
    assert half.values.dtype == torch.bfloat16
    torch.testing.assert_close(half.values.float(), exact.values, atol=0.05, rtol=0.05)


def test_released_points_come_with_the_released_attention() -> None:
    attention = made(GeneratedPoints, as_released=True)
    assert attention.points.as_released and attention.scale == 8**0.25
    assert not made(GeneratedPoints).points.as_released


def test_a_similarity_that_is_not_squared_is_cut_off_at_zero() -> None:
    q, k, _ = inputs()
    found = made(squared=False).decompose(q, k)
    torch.testing.assert_close((found.log_similarity + found.log_magnitude).softmax(-1), found.weights)
    assert found.log_similarity.min() >= math.log(1e-5) - 1e-6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"p": 0.0}, "p=0.0"),
        ({"norm_dropout": 1.0}, "norm_dropout"),
        ({"scale": "d"}, "sqrt, as_released"),
        ({"pool": "all"}, "pool=all"),
        ({"block": 0}, "block=0"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(**settings)


@pytest.mark.parametrize("p", [0.7, 1.0, 1.8, 2.0, 3.0])
def test_the_norm_and_its_gradient_at_zero(p: float) -> None:
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(squared_norm(x, p), x.norm(p=p, dim=-1).square(), rtol=1e-4, atol=0.0)
    x[0], x[1, :7] = 0.0, 0.0
    x.requires_grad_()
    squared_norm(x, p).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all() and not x.grad[0].any()
    assert float(squared_norm(x.detach(), p)[0]) < 1e-6
