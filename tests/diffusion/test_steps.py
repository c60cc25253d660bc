"""Samplers as lists of steps: Algorithm 2, strided, DDIM, against plain formulas and exact distributions."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from reprise.diffusion.sampler import refine
from reprise.diffusion.schedules import NoiseSchedule, constant, cosine, linear, quadratic, respaced
from reprise.diffusion.steps import Sampling, Step, ancestral_steps, ddim_steps, evenly

DDPM = linear(1e-4, 0.02, 1000)


def gaussian_kernel(variance: float, steps: list[Step]) -> tuple[float, float]:
    """Mean and variance of what the steps make of N(0, 1) when data are N(0, variance) and x_0 is predicted exactly."""
    total = 1.0
    for step in steps:
        # E[x_0 | x_n] for Gaussian data
        gain = step.level * variance / (step.alpha_bar * variance + 1 - step.alpha_bar)
        total = (step.weight_0 * gain + step.weight_n) ** 2 * total + (0.0 if step.last else step.sigma**2)
    return 0.0, total


@pytest.mark.parametrize(
    ("t", "beta", "alpha_bar", "snr", "posterior"),
    [
        (1, 1e-4, 0.9999, 9999, 0.0),
        (2, 1.1992e-4, 0.99978009, 4546.4, 5.45319e-5),
        (10, 2.79279e-4, 0.9981052, 526.76, 2.38182e-4),
        (100, 2.07207e-3, 0.89701815, 8.7104, 2.0346e-3),
        (250, 5.06006e-3, 0.52408537, 1.1012, 5.03172e-3),
        (500, 0.01004, 0.078587243, 0.08529, 0.0100314),
        (750, 0.01502, 3.3505504e-3, 3.3618e-3, 0.0150193),
        (1000, 0.02, 4.0358298e-5, 4.036e-5, 0.02),
    ],
)
def test_the_schedule_of_the_paper(t: int, beta: float, alpha_bar: float, snr: float, posterior: float) -> None:
    bar = float(DDPM.alpha_bars[t - 1])
    assert float(DDPM.betas[t - 1]) == pytest.approx(beta, rel=1e-5)
    assert bar == pytest.approx(alpha_bar, rel=1e-7)
    assert bar / (1 - bar) == pytest.approx(snr, rel=1e-4)
    assert float(DDPM.sigmas[t - 1] ** 2) == pytest.approx(posterior, rel=1e-4, abs=1e-12)


def test_weights_of_the_posterior() -> None:
    steps = ancestral_steps(DDPM)
    assert [step.index for step in steps] == list(range(1000, 0, -1))
    assert [step.weight_0 for step in steps[:-4:-1]] == pytest.approx([1, 0.545292, 0.388707], abs=1e-6)
    assert [step.weight_n for step in steps[:-4:-1]] == pytest.approx([0, 0.454709, 0.611293], abs=1e-6)
    assert [step.last for step in steps] == [False] * 999 + [True]
    assert all(step.trained for step in steps)
    assert [step.sigma for step in steps] == pytest.approx(DDPM.sigmas.flip(0).tolist())
    large = ancestral_steps(DDPM, "large")
    assert [step.sigma**2 for step in large] == pytest.approx(DDPM.betas.flip(0).tolist())
    assert [step.weight_0 for step in large] == [step.weight_0 for step in steps]


@pytest.mark.parametrize(("total", "count"), [(1000, 10), (1000, 1000), (1000, 2), (40, 7), (5, 5)])
def test_even_steps_reach_both_ends(total: int, count: int) -> None:
    steps = evenly(total, count)
    assert len(set(steps)) == count
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (1, total)
    gaps = [b - a for a, b in pairwise(steps)]
    assert max(gaps) - min(gaps) <= 1


def test_one_step_is_the_last_of_the_schedule() -> None:
    assert evenly(1000, 1) == [1000]
    with pytest.raises(ValueError, match="expected 1 to 1000"):
        evenly(1000, 1001)


def test_a_respaced_schedule_keeps_its_levels() -> None:
    chosen = [1, 30, 500, 1000]
    short = respaced(DDPM, chosen)
    assert torch.allclose(short.alpha_bars, DDPM.alpha_bars[torch.tensor(chosen) - 1], rtol=1e-12)
    assert respaced(DDPM, range(1, 1001)) is DDPM
    for wrong in ([], [0, 3], [3, 3], [5, 2], [1001]):
        with pytest.raises(ValueError, match="rising numbers"):
            respaced(DDPM, wrong)


@pytest.mark.parametrize("count", [3, 10, 100, 1000])
def test_ddim_with_eta_1_is_ancestral_with_the_small_variance(count: int) -> None:
    indices = evenly(1000, count)
    for ours, theirs in zip(ddim_steps(DDPM, indices, 1.0), ancestral_steps(DDPM, "small", indices), strict=True):
        assert ours.weight_0 == pytest.approx(theirs.weight_0, rel=1e-8, abs=1e-8)
        assert ours.weight_n == pytest.approx(theirs.weight_n, rel=1e-8, abs=1e-8)
        assert ours.sigma == pytest.approx(theirs.sigma)


def test_ddim_is_its_equation() -> None:
    """Song et al. 2021, eq. 12, from the predicted noise."""
    indices = evenly(1000, 20)
    generator = torch.Generator().manual_seed(0)
    x, x_0 = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    for eta in (0.0, 0.5):
        for step, before in zip(ddim_steps(DDPM, indices, eta), [*indices[-2::-1], 0], strict=True):
            bar, bar_before = step.alpha_bar, float(DDPM.alpha_bars[before - 1]) if before else 1.0
            sigma = eta * math.sqrt((1 - bar_before) / (1 - bar)) * math.sqrt(1 - bar / bar_before)
            noise = (x - math.sqrt(bar) * x_0) / math.sqrt(1 - bar)
            expected = math.sqrt(bar_before) * x_0 + math.sqrt(1 - bar_before - sigma**2) * noise
            assert torch.allclose(step.weight_0 * x_0 + step.weight_n * x, expected, atol=1e-10)
            assert step.sigma == pytest.approx(sigma)


def test_many_steps_sample_gaussian_data_exactly_and_few_with_the_large_variance_do_not() -> None:
    """For Gaussian data the variance of what a sampler makes is known in closed form."""
    variance = 0.25
    _, full = gaussian_kernel(variance, ancestral_steps(DDPM, "small"))
    assert full == pytest.approx(variance, rel=0.02)
    _, few = gaussian_kernel(variance, ancestral_steps(DDPM, "large", evenly(1000, 10)))
    assert few > 1.3 * variance


def test_sampling_draws_what_the_closed_form_says() -> None:
    variance = 0.25
    generator = torch.Generator().manual_seed(0)

    def kernel(x: torch.Tensor, step: Step) -> tuple[torch.Tensor, float]:
        gain = step.level * variance / (step.alpha_bar * variance + 1 - step.alpha_bar)
        return step.weight_0 * gain * x + step.weight_n * x, step.sigma

    for steps in (ancestral_steps(DDPM, "large", evenly(1000, 50)), ddim_steps(DDPM, evenly(1000, 50), 0.3)):
        drawn = refine(kernel, steps, lambda: torch.randn(100_000, generator=generator, dtype=torch.float64))
        assert float(drawn.var()) == pytest.approx(gaussian_kernel(variance, steps)[1], rel=0.02)


def test_noise_is_drawn_only_where_it_is_used() -> None:
    calls = []

    def draw() -> torch.Tensor:
        calls.append(1)
        return torch.zeros(1)

    refine(lambda x, step: (x, step.sigma), ddim_steps(DDPM, evenly(1000, 10)), draw)
    assert len(calls) == 1
    refine(lambda x, step: (x, step.sigma), ancestral_steps(DDPM, "small", evenly(1000, 10)), draw, torch.zeros(1))
    assert len(calls) == 1 + 9


def test_a_plan_can_begin_anywhere() -> None:
    plan = Sampling(steps=100).plan(DDPM, "large", top=500)
    assert len(plan) == 100
    assert (plan[0].index, plan[-1].index) == (500, 1)
    assert len(Sampling().plan(DDPM, "large", top=7)) == 7
    assert len(Sampling(steps=100).plan(DDPM, "large", top=7)) == 7
    with pytest.raises(ValueError, match="expected 1 to 1000"):
        Sampling().plan(DDPM, "large", top=1001)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"method": "ddpm"}, "expected ancestral or ddim"),
        ({"variance": "huge"}, "expected large, small, learned or null"),
        ({"method": "ddim", "variance": "large"}, "expected variance=null"),
        ({"eta": 0.5}, "expected method=ddim"),
    ],
)
def test_choices_that_do_not_go_together(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sampling(**wrong)  # type: ignore[arg-type]


def test_plans_that_do_not_fit_the_model() -> None:
    with pytest.raises(ValueError, match="was not learned"):
        Sampling(variance="learned").plan(DDPM, "large")
    with pytest.raises(ValueError, match="that of single steps"):
        Sampling(steps=10).plan(DDPM, "learned")
    with pytest.raises(ValueError, match="expected 1 to 1000"):
        Sampling(steps=2000).plan(DDPM, "large")
    with pytest.raises(ValueError, match="eta is 2"):
        Sampling(method="ddim", eta=2.0).plan(DDPM, "large")
    assert len(Sampling(steps=10, variance="small").plan(DDPM, "learned")) == 10


def test_other_schedules() -> None:
    assert constant(0.01, 10).betas.tolist() == [0.01] * 10
    assert quadratic(1e-4, 0.02, 3).betas[1].item() == pytest.approx(((0.01 + 0.02**0.5) / 2) ** 2)
    betas = cosine(1000).betas
    assert float(betas.max()) == 0.999
    assert float(cosine(1000).alpha_bars[499]) == pytest.approx(
        math.cos((0.5 + 0.008) / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2, rel=1e-9
    )
    assert isinstance(cosine(2), NoiseSchedule)
    with pytest.raises(ValueError, match="1 or more"):
        cosine(0)
