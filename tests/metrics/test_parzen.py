"""Parzen windows: brute force, closed forms, choice of the width, and sums over processes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.metrics import parzen
from reprise.metrics.parzen import ParzenLogLikelihood, choose_sigma, default_sigmas, parzen_log_prob


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def brute_force(images: Tensor, samples: Tensor, sigma: float) -> Tensor:
    """One image, one sample, one number at a time, in the order of the definition."""
    found = []
    for x in images.flatten(1).tolist():
        density = 0.0
        for s in samples.flatten(1).tolist():
            window = 1.0
            for a, b in zip(x, s, strict=True):
                window *= math.exp(-((a - b) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
            density += window / len(samples)
        found.append(math.log(density))
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_log_prob_is_the_log_of_the_mean_window(sigma: float, monkeypatch: pytest.MonkeyPatch) -> None:
    images, samples = normal(7, 1, 2, 3), normal(5, 1, 2, 3, seed=1)
    expected = brute_force(images, samples, sigma)
    torch.testing.assert_close(parzen_log_prob(images, samples, sigma), expected, rtol=1e-12, atol=1e-12)
    monkeypatch.setattr(parzen, "_BLOCK", 10)  # two images a block
    torch.testing.assert_close(parzen_log_prob(images, samples, sigma), expected, rtol=1e-12, atol=1e-12)


def test_far_images_have_a_finite_log_likelihood() -> None:
    """Windows are zero in floating point 1000 widths away; at a sample itself only their normaliser is left."""
    samples = torch.zeros(3, 784)
    far = parzen_log_prob(torch.full((1, 784), 100.0), samples, 0.1)
    normaliser = 784 * math.log(0.1 * math.sqrt(2 * math.pi))
    assert far.item() == pytest.approx(-784 * 100**2 / 0.02 - normaliser)
    assert parzen_log_prob(samples[:1], samples, 0.1).item() == pytest.approx(-normaliser)


def test_windows_around_normal_samples_have_the_closed_form() -> None:
    """Normal samples under windows of width s are N(0, (1 + s^2) I), whose mean log density is known."""
    sigma, dims = 0.8, 2
    images, samples = normal(4000, dims), normal(20_000, dims, seed=1)
    variance = 1 + sigma**2
    expected = -dims / 2 * (math.log(2 * math.pi * variance) + 1 / variance)
    assert parzen_log_prob(images, samples, sigma).mean().item() == pytest.approx(expected, abs=0.03)


def test_width_is_the_one_that_validation_prefers(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, validation = normal(300, 4), normal(50, 4, seed=1)
    sigmas = default_sigmas()
    assert sigmas[0] == pytest.approx(0.1) and sigmas[-1] == 1.0 and len(sigmas) == 10
    means = [parzen_log_prob(validation, samples, s).mean().item() for s in sigmas]
    best = sigmas[means.index(max(means))]
    assert 0.1 < best < 1.0
    assert choose_sigma(samples, validation, sigmas) == best
    monkeypatch.setattr(parzen, "_BLOCK", 700)
    assert choose_sigma(samples, validation, sigmas) == best
    assert choose_sigma(samples, validation, [0.5, 0.5]) == 0.5
    for wrong in ([], [0.0], [-1.0, 1.0]):
        with pytest.raises(ConfigError, match="each above 0"):
            choose_sigma(samples, validation, wrong)


def test_metric_is_mean_and_standard_error_over_images() -> None:
    samples, validation, images = normal(100, 1, 3, 3), normal(20, 1, 3, 3, seed=1), normal(31, 1, 3, 3, seed=2)
    metric = ParzenLogLikelihood()
    metric.fit(samples, validation)
    assert metric.sigma == choose_sigma(samples, validation, default_sigmas())
    for batch in images.split(8):
        metric.update(batch)
    each = brute_force(images, samples, metric.sigma)
    torch.testing.assert_close(metric.compute(), each.mean(), rtol=1e-12, atol=1e-12)
    expected = each.std(correction=0) / math.sqrt(31)
    torch.testing.assert_close(metric.standard_error, expected, rtol=1e-9, atol=1e-12)
    metric.reset()
    metric.update(images[:1])  # samples outlive a reset
    torch.testing.assert_close(metric.compute(), each[0], rtol=1e-12, atol=1e-12)


def test_two_processes_find_what_one_finds() -> None:
    """Sums are the only states, and added up: those of two shards give the numbers of one process."""
    samples, validation, images = normal(50, 6), normal(10, 6, seed=1), normal(13, 6, seed=2)
    one, first, second = ParzenLogLikelihood(), ParzenLogLikelihood(), ParzenLogLikelihood()
    for metric, shard in ((one, images), (first, images[0::2]), (second, images[1::2])):
        metric.fit(samples, validation)
        metric.update(shard)
    assert {first._reductions[name].__name__ for name in first._defaults} == {"dim_zero_sum"}  # type: ignore[union-attr]
    for name in first._defaults:
        setattr(first, name, getattr(first, name) + getattr(second, name))
    torch.testing.assert_close(first.compute(), one.compute(), rtol=1e-12, atol=0.0)
    torch.testing.assert_close(first.standard_error, one.standard_error, rtol=1e-9, atol=0.0)


def test_misuse_is_named() -> None:
    metric = ParzenLogLikelihood()
    with pytest.raises(RuntimeError, match="before update"):
        metric.update(normal(2, 4))
    for samples, validation in (
        (normal(0, 4), normal(2, 4)),
        (normal(2, 4), normal(0, 4)),
        (normal(2, 4), normal(2, 5)),
    ):
        with pytest.raises(ValueError, match="of one size"):
            metric.fit(samples, validation)
    assert metric.compute().isnan() and metric.standard_error.isnan()
