"""The heads: probabilities sum to one, agree with brute force in float64, and draws follow them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.models.wavenet.heads import LogisticMixture, Softmax


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def levels_of(head: LogisticMixture) -> Tensor:
    return torch.linspace(-1, 1, head.levels, dtype=torch.double)


def masses(parameters: Tensor, levels: int) -> Tensor:
    """The mixture's mass in every cell (N, levels): differences of the distribution function, in float64."""
    logits, mean, log_scale = parameters.double().chunk(3, -1)
    edges = (torch.arange(1, levels, dtype=torch.double) * 2 - 1) / (levels - 1) - 1  # between the levels
    cdf = torch.sigmoid((edges[:, None, None] - mean) / log_scale.exp())
    cdf = torch.cat([torch.zeros_like(cdf[:1]), cdf, torch.ones_like(cdf[:1])])
    return (cdf.diff(dim=0) * logits.softmax(-1)).sum(-1).T


@pytest.mark.parametrize("log_scale", [-9.0, -4.0, -1.0, 2.0])
@pytest.mark.parametrize("levels", [2, 16, 256])
def test_the_mixture_has_mass_one_over_all_levels(levels: int, log_scale: float) -> None:
    head = LogisticMixture(3, levels)
    parameters = torch.randn(5, 9, generator=generator())
    parameters[:, 6:] = log_scale + torch.rand(5, 3, generator=generator(1))
    log_prob = head.log_prob(parameters[:, None].expand(-1, levels, -1), levels_of(head).float().expand(5, -1))
    torch.testing.assert_close(log_prob.double().exp().sum(-1), torch.ones(5, dtype=torch.double), atol=2e-5, rtol=0)
    torch.testing.assert_close(log_prob.exp().double(), masses(parameters, levels), atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    ("low", "high", "tolerance"), [(-14, -10, 1e-2), (-10, -7, 1e-3), (-7, -3, 1e-4), (-3, 2, 1e-5)]
)
def test_log_probabilities_of_16_bits_agree_with_float64(low: float, high: float, tolerance: float) -> None:
    # what is left is the resolution of samples and means in float32, which narrow components magnify
    head, n = LogisticMixture(3), 4000
    level = torch.randint(1, head.levels - 1, (n,), generator=generator())
    x = level.double() * 2 / (head.levels - 1) - 1
    log_scale = torch.rand(n, 3, generator=generator(1)) * (high - low) + low
    mean = (x[:, None] + 3 * torch.randn(n, 3, generator=generator(2)) * log_scale.exp()).float()
    logits = torch.randn(n, 3, generator=generator(3))
    found = head.log_prob(torch.cat([logits, mean, log_scale], -1), x.float())
    # sigma(u) - sigma(l) = sinh((u - l) / 2) / (2 cosh(u / 2) cosh(l / 2)), from which the logarithm is taken
    half, s = 1 / (head.levels - 1), log_scale.double().exp()
    u, l_ = (x[:, None] + half - mean.double()) / s, (x[:, None] - half - mean.double()) / s

    def log_2_cosh(a: Tensor) -> Tensor:
        return a.abs() + torch.log1p(torch.exp(-2 * a.abs()))

    log_2_sinh = (u - l_) / 2 + torch.log(-torch.expm1(l_ - u))
    expected = torch.logsumexp(
        logits.double().log_softmax(-1) + log_2_sinh - log_2_cosh(u / 2) - log_2_cosh(l_ / 2), -1
    )
    error = found.double() - expected
    assert float(error.abs().max()) < tolerance
    assert abs(float(error.mean())) < max(tolerance / 100, 1e-6)  # and does not lean to one side


@pytest.mark.parametrize("mean", [-1.0, -0.999, 0.0, 1.0, 30.0])
@pytest.mark.parametrize("log_scale", [-50.0, -14.0, -3.0, 5.0, 20.0])
def test_gradients_are_finite_at_the_ends_and_far_away(mean: float, log_scale: float) -> None:
    head = LogisticMixture(2)
    parameters = torch.tensor([0.3, -0.2, mean, -mean, log_scale, log_scale]).expand(4, -1).clone().requires_grad_()
    log_prob = head.log_prob(parameters, head.inputs(torch.tensor([-1.0, 1.0, 0.0, 0.9999])))
    log_prob.sum().backward()
    assert bool(log_prob.isfinite().all()) and bool(parameters.grad.isfinite().all())
    assert bool((log_prob <= 1e-6).all())


def test_the_gradient_is_that_of_the_exact_mass() -> None:
    head = LogisticMixture(3, 16)
    x = levels_of(head)[[0, 1, 7, 14, 15]]
    parameters = torch.randn(5, 9, generator=generator(), dtype=torch.double).requires_grad_()
    head.log_prob(parameters, x.float()).sum().backward()
    exact = parameters.detach().clone().requires_grad_()
    masses(exact, 16)[torch.arange(5), [0, 1, 7, 14, 15]].log().sum().backward()
    torch.testing.assert_close(parameters.grad, exact.grad, atol=2e-5, rtol=1e-4)


def test_a_level_is_one_number_wherever_it_comes_from() -> None:
    head = LogisticMixture()
    exact = levels_of(head)
    noise = (torch.rand(head.levels, generator=generator(), dtype=torch.double) - 0.5) * 0.9 / 32768
    once = head.inputs((exact + noise).float())
    assert torch.equal(once, head.inputs(exact)) and torch.equal(once, head.inputs(once))
    assert len(once.unique()) == head.levels
    assert head.inputs(torch.tensor([-3.0, 3.0])).tolist() == [-1.0, 1.0]


def grid(count: int) -> Tensor:
    return (torch.arange(count, dtype=torch.double) + 0.5) / count


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_softmax_draws_are_the_inverse_of_its_distribution_function(temperature: float) -> None:
    head = Softmax(8)
    logits = torch.randn(8, generator=generator()) * 2
    probabilities = (logits.double() / temperature).softmax(-1)
    count = 100_000
    drawn = head.draw(logits.expand(count, -1), grid(count)[:, None], temperature)
    # a grid of uniforms has no noise: each code occurs as often as its probability says, but for rounding
    assert bool(((drawn.bincount(minlength=8) - count * probabilities).abs() <= 1).all())
    edges = probabilities.cumsum(0)
    just = torch.stack([edges[:-1] - 1e-9, edges[:-1] + 1e-9])
    found = head.draw(logits.expand(2, 7, -1), just[..., None], temperature)
    assert found.tolist() == [list(range(7)), list(range(1, 8))]


def test_codes_without_probability_are_never_drawn() -> None:
    head = Softmax(4)
    logits = torch.tensor([-math.inf, 0.0, -math.inf, -math.inf])
    assert head.draw(logits.expand(3, -1), torch.tensor([[0.0], [0.5], [1 - 2**-53]], dtype=torch.double)).tolist() == [
        1,
        1,
        1,
    ]
    assert head.log_prob(logits, torch.tensor(1)).tolist() == 0.0


def test_softmax_log_prob_is_that_of_the_logits() -> None:
    head, logits = Softmax(8), torch.randn(2, 3, 8, generator=generator())
    codes = torch.randint(0, 8, (2, 3), generator=generator())
    expected = logits.double().log_softmax(-1).gather(-1, codes[..., None])[..., 0]
    torch.testing.assert_close(head.log_prob(logits, codes).double(), expected, atol=1e-6, rtol=0)


def test_mixture_draws_follow_the_masses() -> None:
    head = LogisticMixture(2, 16)
    parameters = torch.tensor([0.5, -0.5, -0.4, 0.6, -2.0, -1.5])
    side = 500
    u = torch.cartesian_prod(grid(side), grid(side))
    drawn = head.draw(parameters.expand(len(u), -1), u)
    found = torch.round((drawn + 1) * 7.5).long().bincount(minlength=16) / len(u)
    torch.testing.assert_close(found.double(), masses(parameters[None], 16)[0], atol=5e-3, rtol=0)
    assert torch.equal(drawn, head.inputs(drawn))  # it enters the network as it is


def test_temperature_narrows_the_mixture() -> None:
    head = LogisticMixture(1)
    parameters = torch.tensor([0.0, 0.1, -5.0]).expand(100_000, -1)
    u = torch.stack([torch.zeros(100_000).double(), grid(100_000)], -1)
    for temperature in (1.0, 0.5):
        drawn = head.draw(parameters, u, temperature).double()
        assert float(drawn.mean()) == pytest.approx(0.1, abs=1e-4)
        expected = math.exp(-5) * temperature * math.pi / math.sqrt(3)  # a logistic's deviation
        assert float(drawn.std()) == pytest.approx(expected, rel=2e-2)
    likely = torch.tensor([1.0, 0.0, -0.5, 0.5, -9.0, -9.0]).expand(1000, -1)
    share = head_share(LogisticMixture(2), likely, 0.25)
    assert share == pytest.approx(1 / (1 + math.exp(-4)), abs=2e-3)


def head_share(head: LogisticMixture, parameters: Tensor, temperature: float) -> float:
    u = torch.stack([grid(len(parameters)), torch.full((len(parameters),), 0.5).double()], -1)
    return float((head.draw(parameters, u, temperature) < 0).double().mean())


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="mixtures=0"):
        LogisticMixture(0)
    with pytest.raises(ConfigError, match="levels=1"):
        LogisticMixture(2, 1)
