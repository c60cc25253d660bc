"""Likelihoods of pixels: sums over all levels, literal references, draws against probabilities, precision."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from reprise.nn.images import ImageShape
from reprise.nn.pixels.likelihood import Likelihood
from reprise.nn.pixels.mixture import LogisticMixture

F64 = torch.float64


def one_pixel(channels: int, levels: int) -> ImageShape:
    return ImageShape(channels, 1, levels)


def all_pixels(shape: ImageShape) -> Tensor:
    """(levels^C, C), every pixel there is."""
    return torch.tensor(list(itertools.product(range(shape.levels), repeat=shape.channels)))


def all_log_probs(likelihood: Likelihood, maps: Tensor) -> Tensor:
    """Log-probability of every pixel, (levels^C,), given maps (P,)."""
    pixels = all_pixels(likelihood.shape)
    expanded = maps[None, :, None, None].expand(len(pixels), -1, 1, 1)
    return likelihood.log_prob(expanded, pixels[:, :, None, None])[:, 0, 0]


def random_maps(likelihood: Likelihood, seed: int = 0, spread: float = 1.5) -> Tensor:
    return spread * torch.randn(likelihood.maps, generator=torch.Generator().manual_seed(seed), dtype=F64)


@pytest.mark.parametrize("make", [LogisticMixture])
@pytest.mark.parametrize(("channels", "levels"), [(1, 2), (1, 17), (1, 256), (3, 2), (3, 5), (2, 6)])
def test_probabilities_of_all_pixels_sum_to_one(make: type[Likelihood], channels: int, levels: int) -> None:
    likelihood = make(one_pixel(channels, levels))
    for seed in range(3):
        total = all_log_probs(likelihood, random_maps(likelihood, seed, 3.0)).exp().sum()
        assert float(total) == pytest.approx(1.0, abs=1e-12)
    assert likelihood.stages == (tuple(range(channels)),) and likelihood.colours == 1


def test_mixture_is_finite_in_the_far_tails() -> None:
    likelihood = LogisticMixture(one_pixel(1, 256), components=1)
    levels = torch.arange(256)[:, None, None, None]
    for mean, log_scale in itertools.product((-1e4, -1.2, 0.0, 0.3, 1e6), (-20.0, -7.0, 1.0, 50.0, 200.0)):
        maps = torch.tensor([0.0, mean, log_scale])[None, :, None, None].repeat(256, 1, 1, 1).requires_grad_(True)
        log_prob = likelihood.log_prob(maps, levels)
        log_prob.sum().backward()
        assert log_prob.isfinite().all() and maps.grad is not None and maps.grad.isfinite().all()
        assert float(log_prob.detach().exp().sum()) == pytest.approx(1.0, abs=1e-6)


def test_mixture_draws_follow_its_probabilities() -> None:
    """Shares on a regular grid of uniform numbers, which bounds how far they are off."""
    likelihood = LogisticMixture(one_pixel(1, 9), components=3)
    side = 400
    grid = (torch.arange(side, dtype=F64) + 0.5) / side
    uniform = torch.cartesian_prod(grid, grid)
    for seed in range(4):
        maps = random_maps(likelihood, seed)
        drawn = likelihood.draw(maps.expand(len(uniform), -1), 0, uniform, torch.zeros(len(uniform), 1).long())
        shares = torch.bincount(drawn[:, 0], minlength=9) / len(uniform)
        expected = all_log_probs(likelihood, maps).exp()
        # each of 3 component borders and each of 2 borders of a bin falls between two points of the grid
        assert (shares - expected).abs().max() < 3 / side + 2 / side
