"""Schedules, posterior and sampling against reference values and plain formulas."""

from __future__ import annotations

import pytest
import torch

from reprise.diffusion.process import diffuse, posterior, predicted_x_0, reverse_mean
from reprise.diffusion.sampler import ancestral
from reprise.diffusion.schedules import NoiseSchedule, fibonacci, linear, listed

MANUAL6 = [1e-6, 1e-5, 1e-4, 9e-3, 9e-2, 9e-1]


@pytest.mark.parametrize(
    ("schedule", "first", "last"),
    [
        (linear(1e-6, 0.01, 1000), 0.9999995, 0.08138),
        (linear(1e-4, 0.005, 1000), 0.99995, 0.27884),
        (linear(1e-4, 0.05, 50), 0.99995, 0.52884),
        (fibonacci(25), 0.9999995, 0.84765),
        (listed(MANUAL6), 0.9999995, 0.3003),
        (listed([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]), 0.9999995, 0.943),
    ],
)
def test_sqrt_alpha_bar(schedule: NoiseSchedule, first: float, last: float) -> None:
    assert schedule.levels[0] == 1.0
    assert float(schedule.levels[1]) == pytest.approx(first, abs=1e-8)
    assert float(schedule.levels[-1]) == pytest.approx(last, abs=5e-4 if len(schedule) == 6 else 5e-6)


def test_manual_schedule_passes_through_the_points_of_figure_7() -> None:
    levels = listed(MANUAL6).levels
    assert levels[4:].tolist() == pytest.approx([0.9954, 0.9495, 0.3003], abs=1e-4)


def test_fibonacci_in_full() -> None:
    micro = (fibonacci(25).betas * 1e6).round().int().tolist()
    assert micro == [
        1,
        2,
        3,
        5,
        8,
        13,
        21,
        34,
        55,
        89,
        144,
        233,
        377,
        610,
        987,
        1597,
        2584,
        4181,
        6765,
        10946,
        17711,
        28657,
        46368,
        75025,
        121393,
    ]


def test_noise_of_the_last_step_but_one() -> None:
    assert float(fibonacci(25).sigmas[1]) == pytest.approx(8.165e-4, rel=1e-3)
    assert float(linear(1e-4, 0.05, 50).sigmas[1]) == pytest.approx(9.581e-3, rel=1e-3)
    assert float(fibonacci(25).sigmas[0]) == 0.0


@pytest.mark.parametrize("betas", [[], [0.0], [0.1, 1.0], [0.1, -1.4e-7]])
def test_impossible_schedules_are_refused(betas: list[float]) -> None:
    with pytest.raises(ValueError, match="beta"):
        listed(betas)


def test_posterior_is_bayes_rule() -> None:
    """q(x_{n-1} | x_n, x_0) by multiplying the two Gaussians, in float64."""
    schedule = linear(1e-4, 0.05, 50)
    x_0, x_n = torch.tensor([0.3], dtype=torch.float64), torch.tensor([-0.7], dtype=torch.float64)
    for n in (2, 17, 50):
        alpha, beta = schedule.alphas[n - 1], schedule.betas[n - 1]
        before, after = schedule.alpha_bars[n - 2], schedule.alpha_bars[n - 1]
        precision = alpha / beta + 1 / (1 - before)
        mean = (alpha.sqrt() / beta * x_n + before.sqrt() / (1 - before) * x_0) / precision
        ours, variance = posterior(x_0, x_n, after.reshape(1), before.reshape(1))
        assert torch.allclose(ours, mean, rtol=1e-10)
        assert float(variance) == pytest.approx(float(1 / precision), rel=1e-10)
        assert float(schedule.sigmas[n - 1]) ** 2 == pytest.approx(float(variance), rel=1e-10)
        # the reverse mean with the true noise is the posterior mean
        noise = (x_n - after.sqrt() * x_0) / (1 - after).sqrt()
        assert torch.allclose(reverse_mean(x_n, noise, float(alpha), float(after)), mean, rtol=1e-10)


def test_diffuse_inverts() -> None:
    x_0, noise = torch.randn(3, 5, dtype=torch.float64), torch.randn(3, 5, dtype=torch.float64)
    level = torch.tensor([0.9999995, 0.5, 0.1], dtype=torch.float64)
    x_n = diffuse(x_0, level, noise)
    assert torch.allclose(x_n[1], 0.5 * x_0[1] + 0.75**0.5 * noise[1])
    assert torch.allclose(predicted_x_0(x_n, noise, level), x_0)


def test_forward_process_step_by_step_has_the_closed_form_moments() -> None:
    schedule = linear(1e-4, 0.05, 50)
    generator = torch.Generator().manual_seed(0)
    x = torch.full((200_000,), 0.8, dtype=torch.float64)
    for beta in schedule.betas:
        x = (1 - beta).sqrt() * x + beta.sqrt() * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    assert float(x.mean()) == pytest.approx(0.8 * float(schedule.levels[-1]), abs=0.01)
    assert float(x.var()) == pytest.approx(1 - float(schedule.alpha_bars[-1]), rel=0.01)


@pytest.mark.parametrize("schedule", [listed(MANUAL6), linear(1e-4, 0.05, 50)])
def test_sampling_equals_a_slow_reference(schedule: NoiseSchedule) -> None:
    """Algorithm 2, line by line on Python floats."""

    def predict(x: torch.Tensor, n: int, level: float) -> torch.Tensor:
        return torch.tanh(x) * level + 0.01 * n

    def noises() -> torch.Generator:
        return torch.Generator().manual_seed(5)

    generator = noises()
    ours = ancestral(predict, schedule, lambda: torch.randn(4, generator=generator, dtype=torch.float64))
    generator = noises()
    y = torch.randn(4, generator=generator, dtype=torch.float64).tolist()
    betas = schedule.betas.tolist()
    for n in range(len(betas), 0, -1):
        alpha_bar = before = 1.0
        for s in range(1, n + 1):
            before, alpha_bar = alpha_bar, alpha_bar * (1 - betas[s - 1])
        alpha = 1 - betas[n - 1]
        z = torch.randn(4, generator=generator, dtype=torch.float64).tolist() if n > 1 else [0.0] * 4
        sigma = ((1 - before) / (1 - alpha_bar) * betas[n - 1]) ** 0.5
        import math

        for i in range(4):
            noise = math.tanh(y[i]) * alpha_bar**0.5 + 0.01 * n
            y[i] = (y[i] - (1 - alpha) / (1 - alpha_bar) ** 0.5 * noise) / alpha**0.5 + (sigma * z[i] if n > 1 else 0.0)
    assert ours.tolist() == pytest.approx(y, rel=1e-9)


def test_a_perfect_predictor_recovers_the_data() -> None:
    """With the exact posterior noise for a point mass at x_0 every schedule ends at x_0."""
    x_0 = torch.tensor([0.25, -0.5], dtype=torch.float64)
    for schedule in (listed(MANUAL6), linear(1e-4, 0.05, 50)):
        generator = torch.Generator().manual_seed(1)

        def predict(x: torch.Tensor, n: int, level: float) -> torch.Tensor:
            return (x - level * x_0) / (1 - level**2) ** 0.5

        out = ancestral(predict, schedule, lambda g=generator: torch.randn(2, generator=g, dtype=torch.float64))
        assert torch.allclose(out, x_0, atol=1e-6)


def test_clamping_limits_the_implied_data() -> None:
    schedule = linear(1e-4, 0.05, 50)
    generator = torch.Generator().manual_seed(0)
    out = ancestral(
        lambda x, n, level: -5 * torch.ones_like(x),
        schedule,
        lambda: torch.randn(3, generator=generator),
        clamp_x_0=1.0,
    )
    assert out.abs().max() <= 1.0 + 1e-4
