"""Kernels against closed forms and GPyTorch, densities and predictions against scipy and textbook formulas."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from reprise.config.errors import ConfigError
from reprise.models.spectral_mixture.network.kernels import (
    RBF,
    Matern,
    Periodic,
    RationalQuadratic,
    Scaled,
    spacing_and_range,
)
from reprise.models.spectral_mixture.network.lags import lags
from reprise.models.spectral_mixture.network.mixture import SpectralMixture
from reprise.models.spectral_mixture.network.positive import Positive
from reprise.models.spectral_mixture.objective import condition, log_density

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it calls what this torch advises against
    gpytorch = pytest.importorskip("gpytorch")

pytestmark = pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
RNG = np.random.default_rng(0)
X = torch.from_numpy(RNG.standard_normal((7, 2)))
TAU = (X[:, None] - X[None]).reshape(-1, 2)


def mixture(inputs: int, components: int = 3, starts: int = 2) -> SpectralMixture:
    kernel = SpectralMixture(inputs, components, starts)
    for positive in (kernel.weight, kernel.mean, kernel.deviation):
        positive.begin(torch.from_numpy(RNG.uniform(0.1, 1.0, positive.raw.shape)))
    return kernel


def test_mixture_is_equation_12() -> None:
    kernel = mixture(2)
    w, mu, sigma = (p().detach().numpy() for p in (kernel.weight, kernel.mean, kernel.deviation))
    expected = np.zeros((2, len(TAU)))
    for s in range(2):
        for q in range(3):
            factors = [
                np.exp(-2 * np.pi**2 * TAU[:, p].numpy() ** 2 * sigma[s, q, p] ** 2)
                * np.cos(2 * np.pi * TAU[:, p].numpy() * mu[s, q, p])
                for p in range(2)
            ]
            expected[s] += w[s, q] * factors[0] * factors[1]
    assert np.allclose(kernel(TAU).detach(), expected, atol=1e-14)
    assert torch.allclose(kernel(TAU, torch.tensor([1]))[0], kernel(TAU)[1])


def test_mixture_of_one_input_is_gpytorchs() -> None:
    kernel = mixture(1, starts=1)
    theirs = gpytorch.kernels.SpectralMixtureKernel(num_mixtures=3).double()
    theirs.mixture_weights = kernel.weight().detach()[0]
    theirs.mixture_means = kernel.mean().detach()[0][:, None]
    theirs.mixture_scales = kernel.deviation().detach()[0][:, None]
    x = X[:, :1]
    assert torch.allclose(lags(x, x).spread(kernel(lags(x, x).tau))[0], theirs(x).to_dense(), atol=1e-12)


def test_density_is_the_kernels_transform() -> None:
    kernel = mixture(1, starts=1)
    f = torch.linspace(0.0, 8.0, 20001, dtype=torch.float64)
    density = kernel.density(f)[0].detach()
    for tau in (0.0, 0.3, 1.1):
        integral = torch.trapezoid(density * torch.cos(2 * torch.pi * f * tau), f)
        assert float(integral) == pytest.approx(float(kernel(torch.tensor([[tau]]).double()).detach()), abs=1e-6)


def theirs_of(kernel):
    length = kernel.length().detach()
    if isinstance(kernel, Periodic):
        base = gpytorch.kernels.PeriodicKernel(ard_num_dims=2).double()
        base.period_length = kernel.period().detach()
        base.lengthscale = length[:, None].square().expand(1, 2)  # there sin^2 is divided by l, not by its square
    elif isinstance(kernel, RationalQuadratic):
        base = gpytorch.kernels.RQKernel(ard_num_dims=2).double()
        base.lengthscale, base.alpha = length.expand(1, 2), kernel.alpha().detach()[:, None]
    else:
        base = (
            gpytorch.kernels.MaternKernel(nu=kernel.nu, ard_num_dims=2)
            if isinstance(kernel, Matern)
            else gpytorch.kernels.RBFKernel(ard_num_dims=2)
        ).double()
        base.lengthscale = length.expand(1, 2)
    whole = gpytorch.kernels.ScaleKernel(base).double()
    whole.outputscale = kernel.variance().detach()[0]
    return whole


@pytest.mark.parametrize(
    "kernel",
    [
        RBF(2, ard=True),
        RBF(2),
        Matern(2, nu=0.5),
        Matern(2, nu=1.5, ard=True),
        Matern(2, nu=2.5),
        RationalQuadratic(2),
        Periodic(2),
    ],
)
def test_rivals_are_gpytorchs(kernel) -> None:
    for positive in (module for module in kernel.modules() if isinstance(module, Positive)):
        positive.begin(torch.from_numpy(RNG.uniform(0.4, 1.5, positive.raw.shape)))
    ours = lags(X, X).spread(kernel(lags(X, X).tau))[0]
    assert torch.allclose(ours, theirs_of(kernel)(X).to_dense(), atol=1e-6)
    ours.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in kernel.parameters())


def test_what_is_positive_takes_any_value_above_its_floor() -> None:
    for link in ("exp", "softplus"):
        numbers = Positive((3,), link, floor=1e-4)
        numbers.begin(torch.tensor([2e-4, 1.0, 1e5]))
        assert torch.allclose(numbers().detach(), torch.tensor([2e-4, 1.0, 1e5]).double(), rtol=1e-6)
    assert float(Positive((), "softplus")().detach()) == pytest.approx(np.log(2.0))
    with pytest.raises(ConfigError, match="link"):
        Positive((1,), "square")
    scaled = Scaled(mixture(1))
    assert torch.allclose(scaled(TAU[:, :1]), scaled.kernel(TAU[:, :1]))


def test_differences_on_a_grid_occur_once() -> None:
    x = torch.linspace(-15.0, 15.0, 300, dtype=torch.float64)[:, None]
    kept = torch.cat([x[:100], x[150:]])
    found = lags(kept, kept)
    assert len(found.tau) <= 300
    assert torch.allclose(found.spread(found.tau.T)[0], (kept - kept.T).abs(), atol=1e-12)
    uneven = torch.from_numpy(RNG.uniform(size=(20, 1)))
    assert lags(uneven, x).place is None
    assert torch.equal(lags(uneven, x).spread(lags(uneven, x).tau.T)[0], (uneven - x.T).abs())


def test_density_and_its_gradient() -> None:
    root = RNG.standard_normal((3, 6, 6))
    covariance = torch.from_numpy(root @ root.transpose(0, 2, 1) + 0.5 * np.eye(6))
    residual = torch.from_numpy(RNG.standard_normal((3, 6)))
    expected = [multivariate_normal(np.zeros(6), k).logpdf(r) for k, r in zip(covariance, residual, strict=True)]
    assert np.allclose(log_density(covariance, residual), expected)
    symmetric = lambda k, r: log_density((k + k.mT) / 2, r)  # noqa: E731
    assert torch.autograd.gradcheck(symmetric, (covariance.requires_grad_(), residual.requires_grad_()))


def test_a_hopeless_covariance_does_not_spoil_the_others() -> None:
    good = torch.eye(3).double()
    singular = torch.ones(3, 3).double()  # has a factor when its diagonal is raised
    stack = torch.stack([good, -good, singular, good * float("nan")]).requires_grad_()
    found = log_density(stack, torch.zeros(4, 3).double())
    assert float(found[0].detach()) == pytest.approx(-1.5 * np.log(2 * np.pi))
    assert found.isfinite().tolist() == [True, False, True, False]
    found[found.isfinite()].sum().backward()
    assert stack.grad.isfinite().all()
    assert (stack.grad[1] == 0).all() and (stack.grad[0] != 0).any()


def test_conditioning_is_the_textbooks() -> None:
    x, new = np.array([0.0, 1.0, 2.5]), np.array([0.5, 4.0])
    k = lambda a, b: 2.0 * np.exp(-0.5 * (a[:, None] - b[None]) ** 2)  # noqa: E731
    known, cross, y = k(x, x) + 0.1 * np.eye(3), k(new, x), np.array([1.0, -0.5, 2.0])
    mean, variance = condition(*(torch.from_numpy(a) for a in (known, cross, 2.0 * np.ones(2), y)))
    inverse = np.linalg.inv(known)
    assert np.allclose(mean, cross @ inverse @ y)
    assert np.allclose(variance, 2.0 - np.diag(cross @ inverse @ cross.T))


def test_spacing_ignores_repeated_and_constant_inputs() -> None:
    x = torch.tensor([[0.0, 3.0], [0.5, 3.0], [0.5, 3.0], [2.0, 3.0]]).double()
    least, most = spacing_and_range(x)
    assert least.tolist() == [0.5, 1.0] and most.tolist() == [2.0, 1.0]
