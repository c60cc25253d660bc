"""Generated spectral points: odd, symmetric, coupled; penalties against closed forms and against plain sampling."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from reprise.config.errors import ConfigError
from reprise.nn.attention import copula
from reprise.nn.attention.base import fixed_draw
from reprise.nn.attention.generated import GeneratedPoints, OddNetwork


def made(heads: int = 3, size: int = 4, count: int = 6, **settings: Any) -> GeneratedPoints:
    torch.manual_seed(0)
    points = GeneratedPoints(heads, size, count, **settings)
    for p in points.parameters():  # the layers start without shifts
        torch.nn.init.uniform_(p, -0.7, 0.7)
    return points


def pooled(heads: int = 3, size: int = 4, batch: int = 2) -> Tensor:
    return torch.randn(batch, heads, 2 * size, generator=torch.Generator().manual_seed(1))


def test_the_networks_are_odd() -> None:
    torch.manual_seed(0)
    network, z = OddNetwork(4), torch.randn(5, 4)
    torch.testing.assert_close(network(-z), -network(z))
    assert not network(torch.zeros(1, 4)).any()


def test_half_the_points_lie_around_minus_the_mean() -> None:
    """With noise of one half that is the other's turned round, points of an odd network mirror each other."""
    points = made(copula=False)

    def mirrored(shape: tuple[int, ...]) -> Tensor:
        half = torch.randn(shape[0], shape[1] // 2, shape[2], generator=torch.Generator().manual_seed(0))
        return torch.cat([half, -half], 1)

    first, second, _ = points(pooled(), mirrored)
    assert first.shape == (2, 3, 6, 4) and not torch.equal(first, second)
    torch.testing.assert_close(first[:, :, 3:], -first[:, :, :3])


def test_noise_has_the_variance_that_the_encoder_says() -> None:
    points = made(count=20_000, copula=True)
    points.to_first = torch.nn.Identity()  # type: ignore[assignment]
    first = points(pooled(), fixed_draw(0)).first
    mu, log_variance, _ = points.moments(pooled())
    half = first[:, :, :10_000]
    torch.testing.assert_close(half.var(-2), log_variance.exp(), rtol=0.06, atol=0.0)
    torch.testing.assert_close(half.mean(-2), mu, atol=0.02, rtol=0.0)


@pytest.mark.parametrize("coupled", [False, True])
@torch.no_grad()
def test_the_penalty_is_the_divergence_of_the_heads_joint_normal_from_the_prior(coupled: bool) -> None:
    points = made(copula=coupled, lambda_kl=0.3, lambda_copula=0.3, prior_variance=0.1)
    mu, log_variance, factors = points.moments(pooled())
    penalties = []
    for example in range(2):
        total = 0.0
        for f in range(4):
            deviation = (log_variance[example, :, f] / 2).exp()
            c = torch.eye(3) if factors is None else copula.correlation(factors)[example, f]
            joint = MultivariateNormal(mu[example, :, f], torch.outer(deviation, deviation) * c)
            prior = MultivariateNormal(torch.zeros(3), 0.1 * torch.eye(3))
            total += 0.3 * float(kl_divergence(joint, prior))
        penalties.append(total)
    assert float(points(pooled(), fixed_draw(0)).penalty) == pytest.approx(sum(penalties) / 2, rel=1e-4)


@torch.no_grad()
def test_the_divergence_is_what_sampling_finds() -> None:
    points = made(copula=False, lambda_kl=1.0)
    mu, log_variance, _ = points.moments(pooled())
    q, prior = Normal(mu, (log_variance / 2).exp()), Normal(0.0, 0.1**0.5)
    z = mu + (log_variance / 2).exp() * torch.randn(40_000, *mu.shape, generator=torch.Generator().manual_seed(0))
    found = (q.log_prob(z) - prior.log_prob(z)).mean(0).sum((-1, -2)).mean()
    assert float(points(pooled(), fixed_draw(0)).penalty) == pytest.approx(float(found), rel=0.01)


@torch.no_grad()
def test_as_released_is_the_authors_penalty_and_noise() -> None:
    """Distributions as the authors' code builds them: variances where deviations belong, and a quantile function."""
    points = made(as_released=True, lambda_kl=0.1, lambda_copula=1.0)
    x, draw = pooled(batch=1), fixed_draw(0)
    mu, log_variance, factors = points.moments(x)
    assert factors is not None
    noise = draw((3, 6, 4))
    u = Normal(0.0, 1.0).cdf((factors.sum(-1)[0].T.unsqueeze(1) * noise).clamp(-2, 2))
    spread = log_variance[0].exp().unsqueeze(1).expand(3, 3, 4)
    z = torch.cat(
        [
            Normal(s * mu[0].unsqueeze(1).expand(3, 3, 4), spread).icdf(half)
            for s, half in zip((1, -1), (u[:, :3], u[:, 3:]), strict=True)
        ],
        1,
    )
    torch.testing.assert_close(points(x, draw).first[0], points.to_first(z), atol=1e-5, rtol=1e-4)
    divergence = kl_divergence(Normal(mu, log_variance.exp()), Normal(0.0, 0.1)).sum()
    expected = 0.1 * divergence - (u * (u + 1e-5).log()).sum()
    torch.testing.assert_close(points(x, draw).penalty, expected)
    assert abs(float(expected - made()(x, draw).penalty)) > 1.0  # and not what is meant


def test_parameters_are_those_of_the_released_generator() -> None:
    assert sum(p.numel() for p in GeneratedPoints(8, 8, 64).parameters()) == 784  # 34,386 less the 33,602 of the rest
    assert sum(p.numel() for p in GeneratedPoints(8, 8, 64, copula=False).parameters()) == 784 - 72
    assert sum(p.numel() for p in GeneratedPoints(8, 8, 64, tied=True).parameters()) == 784 - 216


def test_gradients_reach_every_parameter() -> None:
    points = made()
    first, second, penalty = points(pooled(), fixed_draw(0))
    (first.square().sum() + second.square().sum() + penalty).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in points.parameters())


def test_generated_points_say_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match="even number"):
        GeneratedPoints(2, 4, 5)
    with pytest.raises(ConfigError, match="above 0"):
        GeneratedPoints(2, 4, 4, prior_variance=0.0)
    with pytest.raises(ConfigError, match="Pass pooled="):
        made()(None, fixed_draw(0))
    with pytest.raises(ConfigError, match="Pass draw="):
        made()(pooled())
