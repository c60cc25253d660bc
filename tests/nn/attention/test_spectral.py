"""Random features estimate a kernel: what it is bounded by, what it tends to, and where its points start."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd import gradcheck

from reprise.config.errors import ConfigError
from reprise.nn.attention.base import fixed_draw
from reprise.nn.attention.dot import DotProduct
from reprise.nn.attention.implicit import ImplicitKernel
from reprise.nn.attention.spectral import DirectPoints, GaussianPoints, Points, features


def made(tied: bool, heads: int = 3, size: int = 5, count: int = 4) -> Points:
    generator = torch.Generator().manual_seed(1)
    first, second = torch.randn(2, heads, count, size, generator=generator) / 5
    return Points(first, first if tied else second, torch.zeros(()))


@pytest.mark.parametrize("tied", [True, False])
def test_features_are_those_of_the_paper(tied: bool) -> None:
    points, x = made(tied), torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    phi = features(x, points)
    example, head, place = 1, 2, 4
    u, cosines, sines = x[example, head, place], [], []
    for w1, w2 in zip(points.first[head], points.second[head], strict=True):
        cosines.append(torch.cos(2 * math.pi * w1 @ u) + torch.cos(2 * math.pi * w2 @ u))
        sines.append(torch.sin(2 * math.pi * w1 @ u) + torch.sin(2 * math.pi * w2 @ u))
    torch.testing.assert_close(phi[example, head, place], torch.stack(cosines + sines) / math.sqrt(4 * 4))


def test_derivatives_of_features_are_right() -> None:
    first, second, penalty = (t.double().requires_grad_() for t in made(tied=False))
    x = torch.randn(3, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert gradcheck(lambda x, a, b: features(x, Points(a, b, penalty)), (x, first, second))
    assert gradcheck(lambda x, a: features(x, Points(a, a, penalty)), (x, first))


def test_two_equal_sets_are_the_stationary_kernel() -> None:
    points, x = made(tied=True), torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(0))
    twice = Points(points.first, points.first.clone(), points.penalty)
    torch.testing.assert_close(features(x, points), features(x, twice))
    torch.testing.assert_close(features(x, points).square().sum(-1), torch.ones(3, 6))  # k(x, x) = 1
    moved = features(x + 0.7, points)
    torch.testing.assert_close(
        moved @ moved.transpose(-1, -2), features(x, points) @ features(x, points).transpose(-1, -2)
    )


def test_the_estimate_is_symmetric_positive_semidefinite_and_at_most_one() -> None:
    x = torch.randn(3, 40, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first, second, penalty = made(tied=False)
    phi = features(x, Points(first.double(), second.double(), penalty))
    estimate = phi @ phi.transpose(-1, -2)
    torch.testing.assert_close(estimate, estimate.transpose(-1, -2))
    assert torch.linalg.eigvalsh(estimate).min() > -1e-12
    assert torch.linalg.eigvalsh(estimate.square()).min() > -1e-12  # the square is a kernel again
    assert estimate.abs().max() <= 1.0 and (estimate < 0).any()
    assert estimate.diagonal(dim1=-2, dim2=-1).max() < 1.0 - 1e-3  # unlike a stationary kernel's


def test_gaussian_points_tend_to_softmax_attention() -> None:
    q, k = 0.5 * torch.randn(2, 1, 2, 12, 8, generator=torch.Generator().manual_seed(0))
    exact = DotProduct(2, 8).weights(q, k)
    errors = []
    for count in (64, 1000, 30_000):
        attention = ImplicitKernel(
            2, 8, lambda count=count, **sizes: GaussianPoints(count=count, **sizes), squared=False, floor=1e-9
        ).eval()
        errors.append(float((attention.weights(q, k, draw=fixed_draw(0)) - exact).abs().max()))
    assert errors[0] > 2 * errors[1] > 4 * errors[2] and errors[2] < 0.005, errors


def test_direct_points_start_as_the_released_ones() -> None:
    torch.manual_seed(0)
    points = DirectPoints(8, 8, 64)
    assert sum(p.numel() for p in points.parameters()) == 2 * 8 * 8 * 64
    assert sum(p.numel() for p in DirectPoints(8, 8, 64, tied=True).parameters()) == 8 * 8 * 64
    assert points.first.abs().max() <= 1 / math.sqrt(8 * 64)
    assert float(points.first.detach().std()) == pytest.approx(1 / math.sqrt(3 * 8 * 64), rel=0.03)
    assert points().penalty == 0


def test_random_points_say_what_they_miss() -> None:
    with pytest.raises(ConfigError, match="draw=, such as fixed_draw"):
        GaussianPoints(2, 3)()
    with pytest.raises(ConfigError, match="count=0"):
        DirectPoints(2, 3, 0)
