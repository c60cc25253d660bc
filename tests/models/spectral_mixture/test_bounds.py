"""The bounds of inducing points and of VSSGP, against the exact process and sampling."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from reprise.models.spectral_mixture import vfe, vssgp
from reprise.models.spectral_mixture.likelihood import by_kernel_matrix, predict_kernel
from reprise.models.spectral_mixture.mixture import Mixture, kernel


def made(inputs: int = 1) -> tuple[Mixture, torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    parts = rng.random(3) + 0.5, rng.random((3, inputs)), 0.3 * rng.random((3, inputs)) + 0.1
    x, y = 2.0 * rng.random((14, inputs)), rng.standard_normal(14)
    return Mixture(*map(torch.from_numpy, parts)), torch.from_numpy(x), torch.from_numpy(y), torch.tensor(0.5).double()


@pytest.mark.parametrize("inputs", [1, 2])
def test_inducing_points_bound_and_reach_the_exact_process(inputs: int) -> None:
    mix, x, y, s = made(inputs)
    exact = float(by_kernel_matrix(kernel(mix, x, x), y, s))
    losses = [float(vfe.negative_bound(mix, s, x, y, x[:count])) for count in (2, 5, 9, 14)]
    assert all(a > b for a, b in itertools.pairwise(losses)) and losses[2] > exact
    assert losses[3] == pytest.approx(exact, abs=1e-5)
    new = 2.0 * torch.rand(4, inputs, generator=torch.Generator().manual_seed(0)).double()
    ours = vfe.predict(mix, s, x, y, x, new)
    theirs = predict_kernel(kernel(mix, x, x), y, s, kernel(mix, new, x), mix.w.sum().expand(4))
    assert torch.allclose(ours[0], theirs[0], atol=1e-5) and torch.allclose(ours[1], theirs[1], atol=1e-5)


def test_bound_of_inducing_points_is_that_of_dense_algebra() -> None:
    mix, x, y, s = made()
    z = x[:4] + 0.05
    k_uf, k_uu = kernel(mix, z, x), kernel(mix, z, z) + vfe.JITTER * mix.w.sum() * torch.eye(4).double()
    q = k_uf.T @ torch.linalg.solve(k_uu, k_uf)
    dense = -torch.distributions.MultivariateNormal(
        torch.zeros(14).double(), q + 0.25 * torch.eye(14).double()
    ).log_prob(y)
    dense = dense + (14 * mix.w.sum() - q.trace()) / (2 * 0.25)
    assert float(vfe.negative_bound(mix, s, x, y, z)) == pytest.approx(float(dense), rel=1e-9)


def test_inducing_points_are_inputs_and_never_equal() -> None:
    x = torch.arange(6.0).double()[:, None]
    places = vfe.draw_inducing(x, 9, torch.ones(9, 1).double(), torch.randperm(6))
    assert sorted(places[:6, 0].tolist()) == x[:, 0].tolist()
    assert len(set(places[:, 0].tolist())) == 9


def frequencies(spread: float = 0.3, width: float = 1.5) -> vssgp.Frequencies:
    rng = np.random.default_rng(1)
    parts = (
        rng.random(2) + 0.5, rng.random((2, 2)) + 0.5, rng.standard_normal((6, 2)), spread * (rng.random((6, 2)) + 0.1),
        6.0 * rng.random(6), width * (rng.random(6) + 0.1), rng.standard_normal((6, 2)),
    )  # fmt: skip
    return vssgp.Frequencies(*map(torch.from_numpy, parts))


def sample(q: vssgp.Frequencies, x: torch.Tensor, count: int) -> torch.Tensor:
    """Phi (count, N, T) of drawn frequencies and phases."""
    rng = np.random.default_rng(2)
    w = q.mu + q.sigma * torch.from_numpy(rng.standard_normal((count, *q.mu.shape)))
    b = q.centre + q.width * torch.from_numpy(rng.random((count, len(q.centre))) - 0.5)
    phase = 2.0 * math.pi * torch.einsum("stp,ntp->snt", w, x[:, None] - q.z) + b[:, None]
    scale = (2.0 / 3.0 * q.variance).repeat_interleave(3)
    return scale.sqrt() * phase.cos()


def test_moments_of_vssgp_by_sampling() -> None:
    q, x = frequencies(), torch.from_numpy(np.random.default_rng(3).standard_normal((5, 2)))
    phi = sample(q, x, 40000)
    first, second = vssgp.moments(q, x)
    assert torch.allclose(first, phi.mean(0), atol=0.02)
    assert torch.allclose(second, phi.square().mean(0), atol=0.02)


def test_bound_of_vssgp_is_below_the_mean_log_likelihood_and_tight_without_spread() -> None:
    rng = np.random.default_rng(4)
    x, y = torch.from_numpy(rng.standard_normal((10, 2))), torch.from_numpy(rng.standard_normal(10))
    tau = torch.tensor(4.0).double()
    for spread, width in ((0.3, 1.5), (1e-9, 1e-9)):
        q = frequencies(spread, width)
        phi = sample(q, x, 400)
        likelihood = -by_kernel_matrix(phi @ phi.mT, y, tau.rsqrt().expand(400)).mean()
        bound = vssgp.bound(q, tau, x, y) + vssgp.divergence(q)
        if spread > 0.1:
            assert float(bound) < float(likelihood)
        else:
            assert float(bound) == pytest.approx(float(likelihood), abs=1e-5)


def test_optimal_coefficients_are_optimal() -> None:
    q = frequencies()
    rng = np.random.default_rng(5)
    x, y, tau = (
        torch.from_numpy(rng.standard_normal((8, 2))),
        torch.from_numpy(rng.standard_normal(8)),
        torch.tensor(3.0),
    )
    first, second = vssgp.moments(q, x)
    gram = first.T @ first + torch.diag(second.sum(0) - first.square().sum(0))
    best = vssgp.fit(q, tau.double(), x, y)

    def bound(mean: torch.Tensor, covariance: torch.Tensor) -> torch.Tensor:
        fit = y.square().sum() - 2 * y @ first @ mean + (gram * (covariance + mean[:, None] * mean)).sum()
        kl = 0.5 * (covariance.trace() + mean @ mean - 6 - torch.logdet(covariance))
        return -0.5 * 8 * torch.log(2 * math.pi / tau) - 0.5 * tau * fit - kl

    covariance = torch.cholesky_inverse(best.chol) / tau
    reached = bound(best.mean, covariance)
    assert float(vssgp.bound(q, tau.double(), x, y) + vssgp.divergence(q)) == pytest.approx(float(reached), rel=1e-6)
    assert float(bound(best.mean + 0.05, covariance)) < float(reached)
    assert float(bound(best.mean, 1.2 * covariance)) < float(reached)


def test_prediction_of_vssgp_by_sampling() -> None:
    q = frequencies()
    rng = np.random.default_rng(6)
    x, y, new = (torch.from_numpy(rng.standard_normal(shape)) for shape in ((8, 2), (8,), (3, 2)))
    tau = torch.tensor(3.0).double()
    mean, variance = vssgp.predict(q, tau, x, y, new)
    best = vssgp.fit(q, tau, x, y)
    chol = torch.linalg.cholesky(torch.cholesky_inverse(best.chol) / tau)
    a = best.mean + torch.from_numpy(rng.standard_normal((40000, 6))) @ chol.T
    drawn = torch.einsum("snt,st->sn", sample(q, new, 40000), a)
    assert torch.allclose(mean, drawn.mean(0), atol=0.02)
    assert torch.allclose(variance, drawn.var(0) + 1.0 / 3.0, rtol=0.05)


def test_divergence_of_vssgp() -> None:
    q = frequencies()
    prior = (1.0 / (2.0 * math.pi * q.length)).repeat_interleave(3, 0)
    normal, uniform = torch.distributions.Normal, torch.distributions.Uniform
    expected = torch.distributions.kl_divergence(normal(q.mu, q.sigma), normal(torch.zeros(6, 2), prior)).sum()
    low, high = torch.zeros(6).double(), torch.full((6,), 2 * math.pi).double()
    expected = expected + torch.distributions.kl_divergence(uniform(low, low + q.width), uniform(low, high)).sum()
    assert float(vssgp.divergence(q)) == pytest.approx(float(expected))
