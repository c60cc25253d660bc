"""Features, likelihoods and allocation, against closed forms, dense algebra and sampling."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.models.spectral_mixture.allocation import (
    Allocation,
    expected_square_error,
    pair_sums,
    ratios,
    whole_counts,
)
from reprise.models.spectral_mixture.features import belongs, features, spectral_points
from reprise.models.spectral_mixture.likelihood import (
    JITTER,
    by_kernel_matrix,
    gaussian_kl,
    in_weight_space,
    negative_log_likelihood,
    predict_kernel,
    predict_weights,
    white_noise,
)
from reprise.models.spectral_mixture.mixture import Mixture, cosine_variances, kernel, power
from reprise.models.spectral_mixture.study import AllocationStudy, studied


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def mixture(components: int = 3, inputs: int = 2, seed: int = 1) -> Mixture:
    rng = np.random.default_rng(seed)
    parts = rng.random(components), 0.4 * rng.random((components, inputs)), 0.2 * rng.random((components, inputs))
    return Mixture(*(torch.from_numpy(part) for part in parts))


@pytest.mark.parametrize("inputs", [1, 2])
def test_kernel_is_the_sum_that_the_paper_writes(inputs: int) -> None:
    mix, x, other = mixture(inputs=inputs), numbers(5, inputs), numbers(4, inputs, seed=2)
    found = kernel(mix, x, other)
    for i in range(5):
        for j in range(4):
            tau = (x[i] - other[j]).numpy()
            each = 0.0
            for w, mu, sigma in zip(*(part.numpy() for part in mix), strict=True):
                envelope = math.exp(-2 * math.pi**2 * float(((sigma * tau) ** 2).sum()))
                each += float(w) * envelope * math.cos(2 * math.pi * float(mu @ tau))
            assert float(found[i, j]) == pytest.approx(each, abs=1e-12)


def test_features_are_unbiased_and_exact_on_the_diagonal() -> None:
    mix, x, counts = mixture(), numbers(6, 2), torch.tensor([1, 4, 2])
    drawn = spectral_points(mix, counts, belongs(counts), numbers(8000, 7, 2, seed=3))
    phi = features(x, drawn._replace(amplitude=drawn.amplitude.expand(8000, 7)))
    sampled = phi @ phi.mT
    error = (sampled.mean(0) - kernel(mix, x, x)) / (sampled.std(0) / math.sqrt(8000) + 1e-12)
    assert float(error.abs().max()) < 4.0
    assert torch.allclose(sampled.diagonal(dim1=1, dim2=2), mix.w.sum().expand(8000, 6))


def test_variance_of_a_cosine() -> None:
    mix, tau = mixture(), numbers(4, 2, seed=4)
    f = mix.mu + mix.sigma * numbers(80000, 3, 2, seed=5)
    sampled = torch.cos(2 * math.pi * torch.einsum("tp,sqp->stq", tau, f)).var(0)
    assert torch.allclose(cosine_variances(mix, tau), sampled, atol=5e-3)


def test_power_is_that_of_both_halves() -> None:
    mix = Mixture(torch.tensor([2.0]).double(), torch.tensor([[0.3]]).double(), torch.tensor([[0.05]]).double())
    shares = power(mix, torch.tensor([0.0, 0.3, 1.0]).double())
    assert shares.tolist() == pytest.approx([0.5, 0.5], abs=1e-6)


def test_weight_space_is_the_dense_density_with_its_gradient() -> None:
    phi, y, s = (
        numbers(2, 12, 6).requires_grad_(),
        numbers(12, seed=1),
        torch.tensor([0.3, 1.2]).double().requires_grad_(),
    )
    weights = in_weight_space(phi, y, s)
    dense = torch.stack(
        [
            -torch.distributions.MultivariateNormal(
                torch.zeros(12).double(), p @ p.T + (v**2 + JITTER) * torch.eye(12).double()
            ).log_prob(y)
            for p, v in zip(phi, s, strict=True)
        ]
    )
    assert torch.allclose(weights, dense, rtol=1e-10)
    assert torch.allclose(by_kernel_matrix(phi @ phi.mT, y, s), dense, rtol=1e-10)
    factors = torch.tensor([1.0, -2.0]).double()  # any weights of the two models
    ours = torch.autograd.grad((weights * factors).sum(), [phi, s])
    theirs = torch.autograd.grad((dense * factors).sum(), [phi, s])
    assert all(torch.allclose(a, b, rtol=1e-8, atol=1e-10) for a, b in zip(ours, theirs, strict=True))


def test_more_features_than_rows_make_no_difference() -> None:
    phi, y, s = numbers(5, 8), numbers(5, seed=1), torch.tensor(0.5).double()
    assert float(negative_log_likelihood(phi, y, s)) == pytest.approx(float(in_weight_space(phi, y, s)), rel=1e-10)


def test_a_matrix_that_cannot_be_factored_gives_nan_alone() -> None:
    phi = torch.stack([numbers(6, 4), torch.full((6, 4), float("nan")).double()])
    found = in_weight_space(phi, numbers(6, seed=1), torch.ones(2).double())
    assert found.isnan().tolist() == [False, True]


def test_white_noise_is_the_best_constant_variance() -> None:
    y = numbers(50) + 3.0
    deviations = torch.arange(2.5, 4.0, 0.002).double()
    best = min(float(by_kernel_matrix(torch.zeros(50, 50).double(), y, s)) for s in deviations)
    assert white_noise(y) == pytest.approx(best, abs=1e-4)


def test_divergence_against_torch() -> None:
    a, b, c, d = (numbers(3, 2, seed=i) for i in range(4))
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(a, b.exp()), normal(c, d.exp())).sum()
    assert float(gaussian_kl(a, b.exp(), c, d.exp())) == pytest.approx(float(expected))


def test_predictions_are_those_of_the_textbook() -> None:
    phi, new, y, s = numbers(9, 4), numbers(3, 4, seed=1), numbers(9, seed=2), torch.tensor(0.4).double()
    noisy = phi @ phi.T + (0.16 + JITTER) * torch.eye(9).double()
    mean = new @ phi.T @ torch.linalg.solve(noisy, y)
    variance = (new @ new.T - new @ phi.T @ torch.linalg.solve(noisy, phi @ new.T)).diagonal() + 0.16 + JITTER
    for found in (
        predict_weights(phi, y, s, new),
        predict_kernel(phi @ phi.T, y, s, new @ phi.T, (new @ new.T).diagonal()),
    ):
        assert torch.allclose(found[0], mean) and torch.allclose(found[1], variance)


@pytest.mark.parametrize("rule", ["equal", "proportional", "neyman", "weighted", "floored"])
@pytest.mark.parametrize("points", [1, 2, 3, 4, 12])
def test_counts_add_up_and_leave_none_out(rule: str, points: int) -> None:
    rng = np.random.default_rng(points)
    w, sums = 10.0 ** rng.normal(size=(40, 7)), 10.0 ** rng.normal(size=(40, 7))
    counts = whole_counts(rule, w, sums, points)
    assert (counts.sum(1) == 7 * points).all() and (counts >= 1).all()
    if rule == "floored":
        assert (counts >= min(points, points // 2 + (points <= 3))).all()


def test_the_released_shares() -> None:
    w, sums = np.array([1.0, 2.0, 4.0, 8.0]), np.array([9.0, 4.0, 1.0, 16.0])
    raw = np.array([3.0, 2.0, 1.0, 4.0]) / (1.0 + np.exp(-w / 3.0))  # the median is 3
    assert np.allclose(ratios("weighted", w, sums), 0.125 + 0.5 * raw / raw.sum())
    assert np.allclose(ratios("neyman", w, sums), np.array([3.0, 4.0, 4.0, 32.0]) / 43.0)


def test_the_block_of_rows_moves_on_and_wraps_around() -> None:
    mix, x = mixture(inputs=1), numbers(10, 1)
    third = Allocation("neyman", 5, 0.4)(mix, x, 2)
    rows = x[[8, 9, 0, 1]]
    assert third.tolist() == whole_counts("neyman", mix.w.numpy(), pair_sums(mix, rows).numpy(), 5).tolist()


def test_points_belong_to_components_in_their_order() -> None:
    assert belongs(torch.tensor([[2, 1], [1, 2]])).argmax(-1).tolist() == [[0, 0, 1], [0, 1, 1]]


def test_theory_of_the_error_of_the_study() -> None:
    mix, x = studied()
    sums = pair_sums(mix, x)
    for rule, expected in (("equal", 321.7), ("neyman", 251.5)):
        counts = Allocation(rule, 4)(mix, x, 0)
        assert float(expected_square_error(mix, counts, sums).sqrt()) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("rule", "share", "errors", "draws"),
    [
        ("weighted", 1.0, (281.0, 209.2, 177.2), 500),  # the authors' notebook
        ("weighted", 0.2, (267.0, 205.9, 172.9), 500),
        ("weighted", 0.1, (278.6, 211.7, 176.4), 500),
        ("proportional", 1.0, (278.4, 201.8, 169.4), 500),
        ("equal", 1.0, (295.9, 227.3, 192.8), 500),
        ("neyman", 1.0, (237.0, 179.0, 151.0), 200),  # an independent run
    ],
)
def test_the_study_agrees_with_published_and_independent_ones(
    rule: str, share: float, errors: tuple[float, ...], draws: int
) -> None:
    found = AllocationStudy(0, rule, share, draws=100).measure()  # type: ignore[arg-type]
    for points, expected in zip((40, 70, 100), errors, strict=True):
        spread = found[f"test/points{points}/kernel_error_std"]
        standard_error = spread * math.sqrt(1 / 100 + 1 / draws)  # of the difference of two means
        assert abs(found[f"test/points{points}/kernel_error"] - expected) < 2.0 * standard_error


def test_what_errs_least_in_the_kernel_costs_likelihood() -> None:
    gaps = {
        rule: AllocationStudy(0, rule, draws=50).measure()["test/points40/nll_gap"] for rule in ("weighted", "equal")
    }
    gaps |= {
        rule: AllocationStudy(0, rule, draws=50).measure()["test/points40/nll_gap"]
        for rule in ("proportional", "neyman")
    }
    assert gaps["weighted"] < gaps["equal"] < gaps["proportional"] < gaps["neyman"]


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ConfigError, match="equal, proportional"):
        Allocation("best")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="at most 1"):
        Allocation("weighted", 3, 1.5)
    with pytest.raises(ConfigError, match="draws is 1"):
        AllocationStudy(0, draws=1)
