"""The Gaussian chain against composed kernels, brute force, closed forms and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.models.diffusion_2015.chain import Known, strata
from reprise.models.diffusion_2015.gaussian import GaussianChain, multiplied, normal_kl
from reprise.models.diffusion_2015.schedule import DiffusionRates
from reprise.nn.randomness import ExampleDraws


class Zero(nn.Module):
    """Leaves the reverse steps at the forward kernel."""

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(x), torch.zeros_like(x)


class ExactForGaussianData(nn.Module):
    """The best reverse steps where data are N(mean, variance): each is Gaussian, as the model's."""

    def __init__(self, chain: GaussianChain, mean: float, variance: float) -> None:
        super().__init__()
        self.chain, self.data_mean, self.data_variance = chain, mean, variance

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        table = self.chain.table()
        beta, before = table.beta(t)[:, None], table.alpha_bar(t - 1)[:, None]
        prior_mean, prior_variance = before.sqrt() * self.data_mean, before * self.data_variance + 1.0 - before
        gain = prior_variance * (1.0 - beta).sqrt() / ((1.0 - beta) * prior_variance + beta)
        mean = prior_mean + gain * (x - (1.0 - beta).sqrt() * prior_mean)
        variance = prior_variance * (1.0 - gain * (1.0 - beta).sqrt())
        unit = beta.sqrt() if self.chain.reverse_form == "step" else beta / (1.0 - table.alpha_bar(t)[:, None])
        raw_mean = (mean - (1.0 - beta).sqrt() * x) / unit
        return raw_mean, (torch.logit(variance) - torch.logit(beta)) * math.sqrt(self.chain.steps) + torch.zeros_like(x)


def chain(steps: int = 6, learned: bool = True, first: float = 0.02, reverse: str = "step") -> GaussianChain:
    return GaussianChain(DiffusionRates(steps, "erase_half", learned, first), reverse)  # type: ignore[arg-type]


def bound(chain: GaussianChain, network: nn.Module, x_0: Tensor, noise: Tensor) -> Tensor:
    """K (B,) from all steps, with noise (B, T - 1, *shape)."""
    table, t = chain.table(), torch.arange(2, chain.steps + 1).expand(len(x_0), -1)
    terms = chain.terms(network, table, x_0, t, noise)
    return chain.log_prior(x_0) + chain.ends(table, x_0) - terms.sum(1)


def test_marginals_are_kernels_one_after_the_other() -> None:
    rates, x_0 = chain(), torch.tensor([[1.5, -0.3]], dtype=torch.float64)
    table, mean, variance = rates.table(), x_0.clone(), torch.zeros(())
    for t in range(1, 7):
        beta = table.betas[t]
        mean, variance = mean * (1.0 - beta).sqrt(), variance * (1.0 - beta) + beta
        still = rates.diffuse(table, x_0, torch.tensor([t]), torch.zeros_like(x_0))
        moved = rates.diffuse(table, x_0, torch.tensor([t]), torch.ones_like(x_0))
        torch.testing.assert_close(still, mean)
        torch.testing.assert_close(moved - still, variance.sqrt().expand(1, 2))


def test_terms_are_the_divergence_from_the_posterior_by_numbers() -> None:
    """Integrates q(x_{t-1} | x_t, x_0), which Bayes' rule gives on a grid, against the reverse step."""
    c, x_0, noise = chain(), torch.tensor([[0.7]], dtype=torch.float64), torch.tensor([[-0.4]], dtype=torch.float64)
    table, grid = c.table(), torch.linspace(-8, 8, 400_001, dtype=torch.float64)

    def normal(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        return torch.exp(-0.5 * (x - mean) ** 2 / variance) / (2 * math.pi * variance).sqrt()

    for t in range(2, 7):
        step = torch.tensor([t])
        x_t = c.diffuse(table, x_0, step, noise)
        before, beta = table.alpha_bars[t - 1], table.betas[t]
        q = normal(grid, before.sqrt() * x_0, 1.0 - before) * normal(x_t, (1.0 - beta).sqrt() * grid, beta)
        q = (q / q.sum()).flatten()
        mean, variance = c.reverse(Zero(), table, x_t, step)
        p = normal(grid, mean, variance).flatten() * (grid[1] - grid[0])
        kept = q > 1e-300
        expected = (q[kept] * (q[kept] / p[kept]).log()).sum()
        torch.testing.assert_close(c.term(Zero(), table, x_0, step, noise)[0], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("reverse", ["step", "signal"])
def test_the_bound_is_the_log_likelihood_where_the_reverse_is_exact(reverse: str) -> None:
    """Gaussian data and exact reverse steps lose nothing but what the start from N(0, I) and the fixed last step do."""
    mean, variance = 0.4, 0.6
    c = chain(8, first=0.05, reverse=reverse)
    generator = torch.Generator().manual_seed(0)
    x_0 = mean + variance**0.5 * torch.randn(4000, 1, dtype=torch.float64, generator=generator)
    noise = torch.randn(4000, 7, 1, dtype=torch.float64, generator=generator)
    exact = ExactForGaussianData(c, mean, variance)
    table = c.table()

    def cross_entropy(t: int) -> Tensor:  # of N(0, 1) under q(x_t)
        left = table.alpha_bars[t]
        return 0.5 * (math.log(2 * math.pi) + left * (mean**2 + variance) + 1.0 - left)

    def entropy(t: int) -> Tensor:
        left = table.alpha_bars[t]
        return 0.5 * torch.log(2 * math.pi * math.e * (left * variance + 1.0 - left))

    # E log q(x_1) - KL(q(x_T) || N(0, 1)), then the step from x_1 to x_0, which follows the forward kernel
    expected = (-entropy(1) + entropy(8) - cross_entropy(8) + cross_entropy(1) - cross_entropy(0)).detach()
    found = bound(c, exact, x_0, noise).detach()
    assert abs(float(found.mean() - expected)) < 4 * float(found.std()) / 4000**0.5
    # the only losses against E log p(x_0) are those two: as they vanish, K becomes minus the entropy of the data
    fine = GaussianChain(DiffusionRates(60, "geometric", True, 1e-4, start=2e-4, end=0.9999), reverse)  # type: ignore[arg-type]
    noise = torch.randn(4000, 59, 1, dtype=torch.float64, generator=generator)
    found = bound(fine, ExactForGaussianData(fine, mean, variance), x_0, noise).detach()
    log_likelihood = -0.5 * (math.log(2 * math.pi * variance) + (x_0[:, 0] - mean) ** 2 / variance)
    assert abs(float((found - log_likelihood).mean())) < 0.02


def test_standard_data_are_modelled_exactly_by_the_forward_kernels() -> None:
    """With N(0, I) data the forward process is its own reverse: K is the log-likelihood in the mean."""
    c = chain(5, reverse="signal")
    generator = torch.Generator().manual_seed(1)
    x_0 = torch.randn(20_000, 2, dtype=torch.float64, generator=generator)
    noise = torch.randn(20_000, 4, 2, dtype=torch.float64, generator=generator)
    gain = bound(c, Zero(), x_0, noise).detach() - c.log_prior(x_0)
    assert abs(float(gain.mean())) < 4 * float(gain.std()) / 20_000**0.5


def test_the_paper_writes_the_same_bound() -> None:
    """Eq. 14, with entropies and a constant cross-entropy, for data with the moments of the prior."""
    c, network = chain(5), Zero()
    x_0 = torch.tensor([[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]], dtype=torch.float64)  # |x_0|^2 = D
    noise = torch.randn(3, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    table, t = c.table(), torch.arange(2, 6).expand(3, -1)

    def entropy(variance: Tensor | float) -> Tensor:
        return 2 * 0.5 * torch.log(2 * math.pi * math.e * torch.as_tensor(variance, dtype=torch.float64))

    ends = entropy(1.0 - table.alpha_bars[5]) - entropy(table.betas[1]) - entropy(1.0)
    expected = -c.terms(network, table, x_0, t, noise).sum(1) + ends
    torch.testing.assert_close(bound(c, network, x_0, noise), expected)


def test_gradients_of_the_rates_are_finite_differences_with_frozen_noise() -> None:
    c = chain(5).double()
    assert c.rates.free is not None
    c.rates.free = nn.Parameter(c.rates.free.detach().double())
    network = nn.Linear(1, 2).double()

    class Linear(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
            mean, variance = network(x).split(1, 1)
            return mean, variance

    generator = torch.Generator().manual_seed(3)
    x_0 = torch.randn(7, 1, dtype=torch.float64, generator=generator)
    noise = torch.randn(7, 4, 1, dtype=torch.float64, generator=generator)
    for form in ("step", "signal", "decay"):
        c.reverse_form = form  # type: ignore[assignment]
        c.zero_grad()
        bound(c, Linear(), x_0, noise).sum().backward()
        for place in range(4):
            values = []
            for sign in (1.0, -1.0):
                with torch.no_grad():
                    c.rates.free[place] += sign * 1e-5
                    values.append(float(bound(c, Linear(), x_0, noise).sum()))
                    c.rates.free[place] -= sign * 1e-5
            assert c.rates.free.grad is not None
            assert float(c.rates.free.grad[place]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-6)


def test_any_shape_is_a_flat_one() -> None:
    c, generator = chain(4), torch.Generator().manual_seed(4)
    x_0, noise = torch.randn(2, 3, 2, 2, generator=generator), torch.randn(2, 3, 3, 2, 2, generator=generator)
    torch.testing.assert_close(bound(c, Zero(), x_0, noise), bound(c, Zero(), x_0.flatten(1), noise.flatten(2)))


def test_divergence_keeps_its_digits_for_short_steps() -> None:
    zero, variance = torch.zeros(1, 1), torch.full((1, 1), 1e-4)
    nearby = variance * (1.0 + 2.0**-12)
    expected = 0.25 * 2.0**-24  # to second order in the relative difference
    assert float(normal_kl(zero, nearby, zero, variance)) == pytest.approx(expected, rel=0.01)


def test_sampling_with_the_exact_reverse_gives_the_data() -> None:
    c = GaussianChain(DiffusionRates(30, "geometric", True, 1e-3, start=3e-3, end=0.999))
    draws = ExampleDraws(0, "test", range(5_000))
    x = c.sample(ExactForGaussianData(c, 0.4, 0.6), lambda: c.noise(draws, 1))
    assert float(x.mean()) == pytest.approx(0.4, abs=0.05)
    assert float(x.var()) == pytest.approx(0.6, abs=0.06)


def test_known_values_are_kept_and_noisy_ones_are_weighed() -> None:
    c = chain(5)
    value, mask = torch.tensor([[2.0, 9.0]]).expand(500, 2), torch.tensor([[True, False]]).expand(500, 2)
    draws = ExampleDraws(0, "test", range(500))
    seen: dict[int, Tensor] = {}
    x = c.sample(Zero(), lambda: c.noise(draws, 2), Known(value, mask), lambda t, x: seen.setdefault(t, x))
    assert sorted(seen) == [0, 1, 2, 3, 4, 5]
    assert all((state[:, 0] == 2.0).all() for state in seen.values())
    assert float(x[:, 1].std()) == pytest.approx(1.0, abs=0.1)
    # N(1, 4) times N(3, 0.25), by numbers
    grid = torch.linspace(-20, 20, 200_001, dtype=torch.float64)
    weight = torch.exp(-((grid - 1) ** 2) / 8 - (grid - 3) ** 2 / 0.5)
    weight = weight / weight.sum()
    mean = (weight * grid).sum()
    product = multiplied(torch.ones(1, 1), torch.full((1, 1), 4.0), Known(torch.full((1, 1), 3.0), mask[:1, :1], 0.5))
    assert float(product[0]) == pytest.approx(float(mean), rel=1e-5)
    assert float(product[1]) == pytest.approx(float((weight * (grid - mean) ** 2).sum()), rel=1e-5)


@pytest.mark.parametrize(("steps", "parts"), [(6, 5), (6, 2), (2000, 1999), (2000, 7), (3, 1)])
def test_strata_hold_every_step_equally_often(steps: int, parts: int) -> None:
    uniform = torch.rand(40_000 // parts, parts, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    t = strata(uniform, steps)
    assert int(t.min()) >= 2 and int(t.max()) <= steps
    if parts == steps - 1:
        assert (t == torch.arange(2, steps + 1)).all()
    elif steps < 10:
        counts = torch.bincount(t.flatten(), minlength=steps + 1)[2:].double()
        assert float((counts / counts.mean() - 1).abs().max()) < 0.05
    assert int(strata(torch.full((1, parts), 1.0 - 2.0**-53, dtype=torch.float64), steps).max()) == steps


def test_rates_of_each_schedule() -> None:
    erased = DiffusionRates(4, "erase")()
    torch.testing.assert_close(erased, torch.tensor([1 / 4, 1 / 3, 1 / 2, 1], dtype=torch.float64))
    half = DiffusionRates(4, "erase_half", first=0.01)()
    torch.testing.assert_close(half[1:], 1 / torch.tensor([4 - 2 / 3, 4 - 4 / 3, 2], dtype=torch.float64))
    assert float(half[0]) == 0.01
    geometric = DiffusionRates(5, "geometric", learned=True, first=1e-4, start=1e-3, end=0.9)
    spread = 1.0 - (1.0 - geometric().detach()).cumprod(0)
    torch.testing.assert_close(
        spread[2:] / spread[1:-1], torch.full((3,), 900 ** (1 / 3), dtype=torch.float64), rtol=1e-4, atol=0
    )
    assert float(spread[0]) == pytest.approx(1e-4) and float(spread[4]) == pytest.approx(0.9, rel=1e-4)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="Expected 2 or more"):
        DiffusionRates(1)
    with pytest.raises(ConfigError, match="cannot be learned"):
        DiffusionRates(4, "erase", learned=True)
    with pytest.raises(ConfigError, match="Set first"):
        DiffusionRates(4, "geometric")
    with pytest.raises(ConfigError, match="first < start < end"):
        DiffusionRates(4, "geometric", first=0.1, start=0.01)
    with pytest.raises(ConfigError, match="erase_half"):
        GaussianChain(DiffusionRates(4, "erase"))
    with pytest.raises(ValueError, match="of bool"):
        Known(torch.zeros(1, 2), torch.zeros(1, 3, dtype=torch.bool))
