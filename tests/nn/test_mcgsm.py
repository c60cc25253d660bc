"""The mixture of conditional Gaussian scale mixtures: its formula, its integral, its draws, its first likelihood."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from reprise.nn.images import ImageShape
from reprise.nn.pixels.mcgsm import MCGSM
from tests.nn.test_pixel_likelihoods import F64, random_maps, uniform_grid

SHAPE = ImageShape(2, 1, 12)


def trained(shape: ImageShape = SHAPE, seed: int = 0) -> MCGSM:
    """One whose parameters are far from their initial values."""
    torch.manual_seed(seed)
    likelihood = MCGSM(shape, components=3, scales=2, features=4, quadratics=5).double()
    for parameter in likelihood.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.7)
    return likelihood


def literal(likelihood: MCGSM, h: Tensor, colour: int) -> list[tuple[float, float, float]]:
    """Weight, mean and deviation of every component and scale, in levels; h (F,) of one colour."""
    components, quadratics = likelihood.beta.shape[1:]
    b, w, a = likelihood.linear[colour].split([quadratics, components, components])
    beta, u = likelihood.beta[colour], likelihood.u[colour]
    found = []
    for c in range(components):
        gate = float(w[c] @ h) - 0.5 * sum(float(beta[c, i]) ** 2 * float(b[i] @ h) ** 2 for i in range(quadratics))
        for s in range(likelihood.eta.shape[2]):
            precision = math.exp(float(likelihood.alpha[colour, c, s]))
            weight = math.exp(float(likelihood.eta[colour, c, s]) + precision * gate)
            mean = (float(a[c] @ h + u[c]) + 1) * likelihood.shape.levels / 2
            found.append((weight, mean, likelihood.shape.levels / 2 / math.sqrt(precision)))
    total = sum(weight for weight, _, _ in found)
    return [(weight / total, mean, deviation) for weight, mean, deviation in found]


@torch.no_grad()
def test_is_the_formula_on_the_scale_of_levels() -> None:
    likelihood = trained()
    for seed in range(5):
        maps = random_maps(likelihood, seed=seed)
        image, uniform = torch.tensor([3, 11]), torch.tensor([0.25, 0.9], dtype=F64)
        expected = 0.0
        for colour in range(2):
            y = float(image[colour] + uniform[colour])
            parts = literal(likelihood, maps[4 * colour : 4 * colour + 4], colour)
            expected += math.log(sum(p * norm.pdf(y, mean, deviation) for p, mean, deviation in parts))
        found = likelihood.log_prob(maps[None, :, None, None], image[None, :, None, None], uniform[None, :, None, None])
        assert float(found) == pytest.approx(expected, rel=1e-10)


@torch.no_grad()
def test_integrates_to_one_over_all_values() -> None:
    likelihood = trained(ImageShape(1, 1, 12))
    bins, points = torch.arange(-300, 312), 100
    for seed in range(3):
        maps = random_maps(likelihood, seed=seed)[None, :, None, None].expand(len(bins), -1, 1, points)
        uniform = (torch.arange(points, dtype=F64) + 0.5) / points
        image = bins[:, None, None, None].expand(-1, 1, 1, points)
        density = likelihood.log_prob(maps, image, uniform.expand(len(bins), 1, 1, points)).exp()
        assert float(density.sum()) / points == pytest.approx(1.0, abs=1e-6)


@torch.no_grad()
def test_draws_follow_the_density() -> None:
    likelihood = trained()
    points, levels = 500, SHAPE.levels
    grid = uniform_grid(2, points)
    for stage in range(2):
        maps = random_maps(likelihood, seed=stage)
        uniform = torch.full((len(grid), 4), 0.123, dtype=F64)
        uniform[:, 2 * stage : 2 * stage + 2] = grid
        pixel = torch.zeros(len(grid), 2).long()
        drawn = likelihood.draw(maps.expand(len(grid), -1), stage, uniform, pixel)[:, 0]
        shares = torch.bincount(drawn, minlength=levels) / len(grid)
        parts = literal(likelihood, maps[4 * stage : 4 * stage + 4], stage)
        # what lies below 0 or above the top falls to the outer levels
        edges = [-math.inf, *range(1, levels), math.inf]
        below = [sum(p * norm.cdf(e, mean, deviation) for p, mean, deviation in parts) for e in edges]
        expected = torch.tensor(below, dtype=F64).diff()
        assert (shares - expected).abs().max() < 3 / points
        assert shares.max() < 0.9


@torch.no_grad()
def test_nats_are_a_bound_on_those_of_the_levels() -> None:
    """The mean over u of log p(x + u) is at most log of the bin's probability, and near it where p is smooth."""
    likelihood = trained(ImageShape(1, 1, 12))
    points = 200
    uniform = ((torch.arange(points, dtype=F64) + 0.5) / points)[None, None, None]
    maps = random_maps(likelihood)[None, :, None, None].expand(1, -1, 1, points)
    for level in range(12):
        log_density = likelihood.log_prob(maps, torch.full((1, 1, 1, points), level), uniform)
        bound, exact = float(log_density.mean()), float(log_density.exp().mean().log())
        assert exact - 0.3 < bound <= exact


@pytest.mark.parametrize("levels", [17, 256])
def test_starts_near_a_broad_gaussian(levels: int) -> None:
    torch.manual_seed(0)
    likelihood = MCGSM(ImageShape(3, 4, levels))
    image = torch.randint(levels, (64, 3, 4, 4))
    for spread in (0.0, 1.0):
        maps = torch.randn(64, likelihood.maps, 4, 4) * spread
        nats = -float(likelihood.log_prob(maps, image, torch.rand(image.shape)).detach().mean()) / 3
        broad = 0.5 * math.log(2 * math.pi * math.e / 12) + math.log(levels)  # a Gaussian as wide as uniform levels
        assert nats == pytest.approx(broad, abs=0.25)


def test_every_parameter_learns_and_huge_features_stay_finite() -> None:
    torch.manual_seed(0)
    likelihood = MCGSM(ImageShape(3, 2, 256))
    image, uniform = torch.randint(256, (8, 3, 2, 2)), torch.rand(8, 3, 2, 2)
    for spread in (1.0, 1e4):
        likelihood.zero_grad()
        maps = (torch.randn(8, likelihood.maps, 2, 2) * spread).requires_grad_(True)
        log_prob = likelihood.log_prob(maps, image, uniform)
        log_prob.sum().backward()
        assert log_prob.isfinite().all() and maps.grad is not None and maps.grad.isfinite().all()
        for name, parameter in likelihood.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
            assert spread > 1 or parameter.grad.abs().sum() > 0, name


def test_fits_a_narrow_peak() -> None:
    """Some steps on images of one level: the density rises above that of a uniform level, so the scales do learn."""
    torch.manual_seed(0)
    likelihood = MCGSM(ImageShape(1, 4, 64), features=4)
    optimiser = torch.optim.Adam(likelihood.parameters(), lr=0.1)
    maps, image = torch.randn(8, 4, 4, 4), torch.full((8, 1, 4, 4), 20)
    for _ in range(80):
        loss = -likelihood.log_prob(maps, image, torch.rand(image.shape)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 2.0 < math.log(64) - 2
