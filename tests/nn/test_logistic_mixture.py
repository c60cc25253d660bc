"""The mixture of logistics against integrals, against the formulas of the authors' code, and its pitfalls."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import logistic
from torch import Tensor

from reprise.nn.images import ImageShape
from reprise.nn.pixels.mixture import LogisticMixture
from tests.nn.test_pixel_likelihoods import F64, all_log_probs, random_maps, uniform_grid


def one_logistic(mean: float, log_scale: float) -> Tensor:
    return torch.tensor([0.0, mean, log_scale], dtype=F64)


@pytest.mark.parametrize("levels", [2, 5, 16])
@pytest.mark.parametrize("log_scale", [-7.0, -3.0, -1.0, 1.0])
@pytest.mark.parametrize("mean", [-1.3, -0.2, 0.125, 1.0])
def test_bins_are_integrals_of_the_density(levels: int, log_scale: float, mean: float) -> None:
    likelihood = LogisticMixture(ImageShape(1, 1, levels), components=1)
    found = all_log_probs(likelihood, one_logistic(mean, log_scale)).exp()
    scale = math.exp(log_scale)
    for k in range(levels):
        centre, half = 2 * k / (levels - 1) - 1, 1 / (levels - 1)
        # edge bins go on for as long as a float64 can see; the peak is pointed out, or quad may miss it
        low = min(centre - half, mean) - 40 * scale if k == 0 else centre - half
        high = max(centre + half, mean) + 40 * scale if k == levels - 1 else centre + half
        peak = [mean + d * scale for d in (-10, -1, 0, 1, 10) if low < mean + d * scale < high]
        expected, _ = quad(logistic(mean, scale).pdf, low, high, points=peak, epsabs=1e-13, limit=200)
        assert float(found[k]) == pytest.approx(expected, abs=1e-10)


def literal(maps: Tensor, pixel: list[int], components: int) -> tuple[float, float]:
    """Log-probability of a pixel by the formulas of the authors' code, 256 levels; the smallest bin it met."""
    logits, means, raw, coefficients = maps.split([components, 3 * components, 3 * components, 3 * components])
    x = [(v - 127.5) / 127.5 for v in pixel]
    total, smallest = [], 1.0
    for k in range(components):
        alpha, beta, gamma = (math.tanh(float(coefficients[j * components + k])) for j in range(3))
        mu = [float(means[c * components + k]) for c in range(3)]
        mu = [mu[0], mu[1] + alpha * x[0], mu[2] + beta * x[0] + gamma * x[1]]
        log_p = float(logits[k]) - float(torch.logsumexp(logits, 0))
        for c in range(3):
            log_s = max(float(raw[c * components + k]), -7.0)
            upper, middle, lower = (math.exp(-log_s) * (x[c] - mu[c] + d / 255) for d in (1, 0, -1))
            delta = sigmoid(upper) - sigmoid(lower)
            if x[c] < -0.999:
                log_p += upper - softplus(upper)
            elif x[c] > 0.999:
                log_p += -softplus(lower)
            elif delta > 1e-5:
                log_p += math.log(max(delta, 1e-12))
            else:
                log_p += middle - log_s - 2 * softplus(middle) - math.log(127.5)
            smallest = min(smallest, delta if 0 < pixel[c] < 255 else 1.0)
        total.append(log_p)
    return float(torch.logsumexp(torch.tensor(total, dtype=F64), 0)), smallest


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def test_is_what_the_authors_code_computes() -> None:
    components = 4
    likelihood = LogisticMixture(ImageShape(3, 1, 256), components)
    generator = torch.Generator().manual_seed(0)
    equal = approximate = 0
    for seed in range(300):
        maps = random_maps(likelihood, seed=seed)
        maps[4 * components : 7 * components] += -3.0 if seed % 2 else 1.0  # log-scales
        if seed % 2:
            maps[4 * components] = -9.0  # below the floor
        pixel = torch.randint(256, (3,), generator=generator)
        pixel[seed % 3] = (0, 255, 100)[seed // 3 % 3]
        expected, smallest = literal(maps, pixel.tolist(), components)
        found = float(likelihood.log_prob(maps[None, :, None, None], pixel[None, :, None, None]))
        if smallest > 1e-5:
            assert found == pytest.approx(expected, rel=1e-9)
            equal += 1
        else:  # a bin of some component is replaced by its density there
            assert math.exp(found) == pytest.approx(math.exp(expected), abs=1e-5)
            approximate += 1
    assert equal > 50 and approximate > 50


def test_tails_fall_as_a_logistic_does() -> None:
    """Far from the mean, the log-probability is that of an exponential tail, not of a clamp."""
    likelihood = LogisticMixture(ImageShape(1, 1, 256), components=1)
    log_s = -7.0
    found = all_log_probs(likelihood, one_logistic(-1.0, log_s))[100:255]
    u = math.exp(-log_s) * 2 / 255 * (torch.arange(100, 255, dtype=F64) - 0.5)  # lower edges, from the mean
    expected = -u + math.log1p(-math.exp(-math.exp(-log_s) * 2 / 255))
    assert torch.allclose(found, expected, rtol=1e-12)
    assert found[-1] < -2000


def test_gradients_are_finite_however_far_the_mean_and_whatever_the_scale() -> None:
    for levels in (2, 256):
        likelihood = LogisticMixture(ImageShape(1, 1, levels), components=1)
        image = torch.arange(levels)[:, None, None, None]
        for mean, log_scale in itertools.product((-1e4, -1.2, 0.0, 1.0, 1e6), (-20.0, -7.0, 1.0, 50.0, 200.0)):
            maps = one_logistic(mean, log_scale).float()[None, :, None, None].repeat(levels, 1, 1, 1)
            maps.requires_grad_(True)
            log_prob = likelihood.log_prob(maps, image)
            log_prob.sum().backward()
            assert log_prob.isfinite().all() and maps.grad is not None and maps.grad.isfinite().all()
            assert float(log_prob.detach().exp().sum()) == pytest.approx(1.0, abs=5e-6)
            # a mean that is too far on one side is pulled back, in the tails too
            pulls = maps.grad[:, 1, 0, 0] * math.copysign(1.0, mean)
            if abs(mean) > 2 and log_scale < 2:
                assert (pulls <= 0).all() and pulls.any()


def test_scales_have_a_floor_in_likelihood_and_draws() -> None:
    likelihood = LogisticMixture(ImageShape(1, 1, 256), components=1)
    below, floor = one_logistic(0.123, -20.0), one_logistic(0.123, -7.0)
    assert torch.equal(all_log_probs(likelihood, below), all_log_probs(likelihood, floor))
    uniform = uniform_grid(2, 50)
    pixel = torch.zeros(len(uniform), 1).long()
    drawn = [likelihood.draw(maps.expand(len(uniform), -1), 0, uniform, pixel) for maps in (below, floor)]
    assert torch.equal(*drawn) and len(drawn[0].unique()) > 1


def test_gradients_are_those_of_finite_differences() -> None:
    likelihood = LogisticMixture(ImageShape(3, 1, 5), components=2)
    maps = random_maps(likelihood)[None, :, None, None].requires_grad_(True)
    for pixel in ([0, 2, 4], [3, 4, 0], [1, 1, 1]):
        image = torch.tensor(pixel)[None, :, None, None]
        assert torch.autograd.gradcheck(lambda m, x=image: likelihood.log_prob(m, x), maps)


def sharp(likelihood: LogisticMixture, means: Tensor, coefficients: Tensor | None = None) -> Tensor:
    """Maps (P,) of equal weights and small scales; means (C, K), coefficients (C (C - 1) / 2, K) before tanh."""
    colours, components = means.shape
    zeros = torch.zeros(colours * (colours - 1) // 2, components)
    parts = (
        torch.zeros(components),
        means,
        torch.full_like(means, -6.0),
        zeros if coefficients is None else coefficients,
    )
    maps = torch.cat([part.flatten() for part in parts]).double()
    assert len(maps) == likelihood.maps
    return maps


def test_colours_of_a_pixel_share_the_component() -> None:
    """Pitfall: colours added after the mixture would each choose a component and give four pixels of 1/4."""
    likelihood = LogisticMixture(ImageShape(3, 1, 4), components=2)
    maps = sharp(likelihood, torch.tensor([[-1.0, 1.0]] * 3))
    found = all_log_probs(likelihood, maps).exp().reshape(4, 4, 4)
    assert float(found[0, 0, 0]) == pytest.approx(0.5, abs=1e-6)
    assert float(found[3, 3, 3]) == pytest.approx(0.5, abs=1e-6)
    assert float(found[0, 0, 3]) < 1e-6 and float(found[3, 0, 3]) < 1e-6
    uniform = torch.tensor([[0.3, 0.5, 0.5, 0.5], [0.7, 0.5, 0.5, 0.5]], dtype=F64)
    drawn = likelihood.draw(maps.expand(2, -1), 0, uniform, torch.zeros(2, 3).long())
    assert drawn.tolist() == [[0, 0, 0], [3, 3, 3]]


def test_coefficients_multiply_the_true_earlier_colours() -> None:
    """Pitfall: in training the true value counts, not the mean; blue takes its second coefficient from green."""
    likelihood = LogisticMixture(ImageShape(3, 1, 5), components=1)
    alpha, beta, gamma = torch.atanh(torch.tensor([0.5, -0.5, 0.5])).tolist()
    maps = sharp(likelihood, torch.tensor([[-1.0], [0.0], [0.0]]), torch.tensor([[alpha], [beta], [gamma]]))
    found = all_log_probs(likelihood, maps).reshape(5, 5, 5)
    for red, green in itertools.product(range(5), range(5)):
        r, g = red / 2 - 1, green / 2 - 1
        if (0.5 * g - 0.5 * r) % 0.5 == 0:  # not on the border of two bins
            assert int(found[red, green].argmax()) == 2 + 2 * (0.5 * g - 0.5 * r)
        if (0.5 * r) % 0.5 == 0:
            assert int(found[red].logsumexp(1).argmax()) == 2 + 2 * (0.5 * r)


def test_draws_couple_colours_by_clipped_and_rounded_values() -> None:
    """Pitfall: red beyond the interval, or between levels, must count as the level that it becomes."""
    likelihood = LogisticMixture(ImageShape(2, 1, 3), components=1)
    half = torch.full((1, 4), 0.5, dtype=F64)[:, :3]
    pixel = torch.zeros(1, 2).long()
    # red 5 is clipped to 1: green -0.5 + 0.5 * 1 = 0; unclipped it would be 2, the top level
    maps = sharp(likelihood, torch.tensor([[5.0], [-0.5]]), torch.atanh(torch.tensor([[0.5]])))
    assert likelihood.draw(maps[None], 0, half, pixel).tolist() == [[2, 1]]
    # red 0.4 is rounded to 0: green 0.3; unrounded it would be 0.3 + 0.9 * 0.4 = 0.66, the top level
    maps = sharp(likelihood, torch.tensor([[0.4], [0.3]]), torch.atanh(torch.tensor([[0.9]])))
    assert likelihood.draw(maps[None], 0, half, pixel).tolist() == [[1, 1]]


def test_uniform_numbers_at_the_ends_are_drawn_safely() -> None:
    likelihood = LogisticMixture(ImageShape(3, 1, 256))
    maps = random_maps(likelihood, 2, likelihood.maps).float()
    ends = torch.tensor([[0.0] * 4, [math.nextafter(1.0, 0.0)] * 4], dtype=F64)
    drawn = likelihood.draw(maps, 0, ends, torch.zeros(2, 3).long())
    assert drawn.min() >= 0 and drawn.max() <= 255
