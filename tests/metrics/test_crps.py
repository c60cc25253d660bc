"""CRPS against closed forms, and against its definitions by brute force."""

from __future__ import annotations

import math

import pytest
import torch

from reprise.metrics.crps import CRPS, crps_discrete, crps_ensemble


def normal(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def by_expectations(p: torch.Tensor, v: torch.Tensor, x: float) -> float:
    """E |X - x| - E |X - X'| / 2."""
    return float((p * (v - x).abs()).sum() - 0.5 * (p[:, None] * p * (v[:, None] - v).abs()).sum())


@pytest.mark.parametrize("x", [-4.0, -1.0, 0.3, 0.5, 2.0, 7.5])  # below, on, between and above the values
def test_the_integral_is_the_other_definition(x: float) -> None:
    v = torch.tensor([-1.0, 0.0, 0.5, 2.0, 2.25], dtype=torch.double)
    for seed in range(5):
        p = normal((5,), seed).softmax(0)
        found = crps_discrete(p, v, torch.tensor(x, dtype=torch.double))
        assert float(found) == pytest.approx(by_expectations(p, v, x), abs=1e-12)
        u = torch.linspace(-5, 8, 130_001, dtype=torch.double)
        cdf = (p[:, None] * (v[:, None] <= u)).sum(0)
        assert float(found) == pytest.approx(float(torch.trapezoid((cdf - (u >= x).double()) ** 2, u)), abs=3e-4)


def test_a_point_scores_the_distance() -> None:
    v = torch.tensor([1.0, 3.0])
    assert crps_discrete(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), v, torch.tensor([7.0, 2.0])).tolist() == [4.0, 1.0]
    assert float(crps_discrete(torch.tensor([1.0]), v[:1], torch.tensor(0.5))) == 0.5


@pytest.mark.parametrize("x", [-2.0, 0.0, 0.7])
def test_closed_forms_by_a_fine_grid(x: float) -> None:
    width = 1e-3
    v = torch.arange(-16, 16, width, dtype=torch.double)
    gauss = torch.special.ndtr(v + width / 2) - torch.special.ndtr(v - width / 2)
    density = math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    closed = x * math.erf(x / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi)
    assert float(crps_discrete(gauss / gauss.sum(), v, torch.tensor(x))) == pytest.approx(closed, abs=2e-3)

    def laplace_cdf(u: torch.Tensor) -> torch.Tensor:
        return torch.where(u < 0, 0.5 * torch.exp(u), 1 - 0.5 * torch.exp(-u.abs()))

    laplace = laplace_cdf(v + width / 2) - laplace_cdf(v - width / 2)
    closed = abs(x) + math.exp(-abs(x)) - 0.75
    assert float(crps_discrete(laplace / laplace.sum(), v, torch.tensor(x))) == pytest.approx(closed, abs=2e-3)


def test_an_ensemble_against_all_its_pairs() -> None:
    draws, x = normal((3, 2, 7)), normal((3, 2), 1)
    pairs = (draws[..., :, None] - draws[..., None, :]).abs().sum((-1, -2)) / (2 * 7 * 6)
    expected = (draws - x[..., None]).abs().mean(-1) - pairs
    torch.testing.assert_close(crps_ensemble(draws, x), expected)


def test_the_ensemble_is_fair_for_two_draws_already() -> None:
    x, count = 0.7, 200_000
    density = math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    closed = x * math.erf(x / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi)
    scores = crps_ensemble(normal((count, 2)), torch.full((count,), x))
    error = float(scores.std()) / math.sqrt(count)
    assert abs(float(scores.mean()) - closed) < 4 * error < 0.01
    unfair = (normal((count, 2)) - x).abs().mean(-1) - normal((count, 2)).diff().abs()[:, 0] / 4  # over M^2 pairs
    assert abs(float(unfair.mean()) - closed) > 40 * error


def test_draws_of_a_grid_agree_with_its_exact_score() -> None:
    v, p = torch.tensor([0.0, 1.0, 4.0]), torch.tensor([0.2, 0.5, 0.3])
    draws = v[torch.multinomial(p, 100_000, replacement=True, generator=torch.Generator().manual_seed(0))]
    exact = float(crps_discrete(p, v, torch.tensor(1.5)))
    assert float(crps_ensemble(draws, torch.tensor(1.5))) == pytest.approx(exact, abs=0.02)


def test_the_metric_is_the_mean_over_all_values() -> None:
    metric = CRPS()
    metric.update(torch.tensor([[1.0, 2.0]]))
    metric.update(torch.tensor([6.0]))
    assert float(metric.compute()) == 3.0 and metric.version == 1


def test_shapes_that_do_not_fit_are_refused() -> None:
    v, p = torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.5])
    with pytest.raises(ValueError, match="increasing"):
        crps_discrete(p, v.flip(0), torch.tensor(0.0))
    with pytest.raises(ValueError, match=r"\(\.\.\., 2\)"):
        crps_discrete(p, v, torch.zeros(3))
    with pytest.raises(ValueError, match="two or more"):
        crps_ensemble(torch.zeros(3, 1), torch.zeros(3))
