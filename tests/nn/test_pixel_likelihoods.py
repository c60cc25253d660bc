"""What holds for every likelihood of pixels: sums over all levels, draws that follow them, types, shapes."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.nn.images import ImageShape
from reprise.nn.pixels.categorical import Bernoulli, Categorical
from reprise.nn.pixels.likelihood import Likelihood, inverted
from reprise.nn.pixels.mcgsm import MCGSM
from reprise.nn.pixels.mixture import LogisticMixture
from reprise.nn.pixels.softmax_linear import LinearSoftmax

F64 = torch.float64


def mixture(shape: ImageShape) -> LogisticMixture:
    return LogisticMixture(shape, components=3)


def mcgsm(shape: ImageShape) -> MCGSM:
    torch.manual_seed(0)
    return MCGSM(shape, components=3, scales=2, features=5, quadratics=4)


DISCRETE = [Categorical, Bernoulli, mixture, LinearSoftmax]
ALL = [*DISCRETE, mcgsm]


def shape_for(make: object, channels: int, levels: int = 5, side: int = 1) -> ImageShape:
    return ImageShape(channels, side, 2 if make is Bernoulli else levels)


def all_pixels(shape: ImageShape) -> Tensor:
    """(levels^C, C), every pixel there is."""
    return torch.tensor(list(itertools.product(range(shape.levels), repeat=shape.channels)))


def all_log_probs(likelihood: Likelihood, maps: Tensor) -> Tensor:
    """Log-probability of every pixel, (levels^C,), given maps (P,)."""
    pixels = all_pixels(likelihood.shape)
    return likelihood.log_prob(maps[None, :, None, None].expand(len(pixels), -1, 1, 1), pixels[:, :, None, None])[
        :, 0, 0
    ]


def random_maps(likelihood: Likelihood, *size: int, seed: int = 0, spread: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(*size or (likelihood.maps,), generator=generator, dtype=F64)


def uniform_grid(numbers: int, points: int) -> Tensor:
    """(points^numbers, numbers): centres of a regular grid in the unit cube."""
    centres = (torch.arange(points, dtype=F64) + 0.5) / points
    return torch.stack(torch.meshgrid(*[centres] * numbers, indexing="ij"), -1).reshape(-1, numbers)


def drawn(likelihood: Likelihood, maps: Tensor, uniform: Tensor) -> Tensor:
    """Draw all stages of one pixel, (B, C); maps (B, P) stay the same, whatever was drawn."""
    pixel = torch.zeros(len(uniform), likelihood.shape.channels, dtype=torch.long)
    for stage, colours in enumerate(likelihood.stages):
        pixel[:, list(colours)] = likelihood.draw(maps, stage, uniform, pixel)
    return pixel


@pytest.mark.parametrize("make", DISCRETE)
@pytest.mark.parametrize(("channels", "levels"), [(1, 2), (1, 17), (1, 256), (2, 6), (3, 2), (3, 5)])
def test_probabilities_of_all_pixels_sum_to_one(make: type[Likelihood], channels: int, levels: int) -> None:
    likelihood = make(shape_for(make, channels, levels))
    for seed in range(3):
        log_probs = all_log_probs(likelihood, random_maps(likelihood, seed=seed, spread=3.0))
        assert float(log_probs.exp().sum()) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("make", DISCRETE)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_draws_follow_the_probabilities(make: type[Likelihood], channels: int) -> None:
    """Shares of all pixels on a regular grid of uniform numbers, right to a step of the grid."""
    likelihood = make(shape_for(make, channels, 9 if channels == 1 else 3))
    points = int(160_000 ** (1 / likelihood.noise))
    uniform = uniform_grid(likelihood.noise, points)
    for seed in range(3):
        maps = random_maps(likelihood, seed=seed)
        pixels = drawn(likelihood, maps.expand(len(uniform), -1), uniform)
        code = sum(pixels[:, c] * likelihood.shape.levels ** (channels - 1 - c) for c in range(channels))
        shares = torch.bincount(code, minlength=likelihood.shape.levels**channels) / len(uniform)  # type: ignore[arg-type]
        expected = all_log_probs(likelihood, maps).exp()
        assert (shares - expected).abs().max() < 1.0 / points
        assert shares.max() < 0.99


def test_inversion_never_draws_what_has_no_probability() -> None:
    probabilities = torch.tensor([[0.0, 1.0, 0.0, 3.0, 0.0]], dtype=F64).expand(4, -1)  # need not sum to one
    uniform = torch.tensor([0.0, 0.25 - 1e-12, 0.25, 1 - 1e-12], dtype=F64)
    assert inverted(probabilities, uniform).tolist() == [1, 1, 3, 3]


@pytest.mark.parametrize("make", ALL)
def test_scaled_levels_are_spread_over_the_interval_and_can_be_read_back(make: type[Likelihood]) -> None:
    for levels in (2, 17, 256):
        likelihood = make(shape_for(make, 1, levels))
        image = torch.arange(likelihood.shape.levels, dtype=torch.uint8)
        x = likelihood.scale(image)
        low, high = (0.0, 1.0) if make is Bernoulli else (-1.0, 1.0)
        assert x.dtype == torch.float32 and float(x[0]) == low and float(x[-1]) == pytest.approx(high, abs=1e-6)
        back = (x - low) / (high - low) * (likelihood.shape.levels - 1)
        assert torch.equal(back.round().to(torch.uint8), image)


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_independence_of_the_batch(make: type[Likelihood], channels: int) -> None:
    shape = shape_for(make, channels, side=4)
    likelihood = make(shape).double()
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(shape.levels, (5, channels, 4, 4), generator=generator, dtype=torch.uint8)
    uniform = torch.rand(5, channels, 4, 4, generator=generator, dtype=F64)
    maps = random_maps(likelihood, 5, likelihood.maps, 4, 4)
    log_prob = likelihood.log_prob(maps, image, uniform)
    assert log_prob.shape == (5, 4, 4) and log_prob.dtype == F64
    # pixels and examples are told apart: any part alone gives the same
    part = likelihood.log_prob(maps[3:4, :, 1:3, 2:], image[3:4, :, 1:3, 2:], uniform[3:4, :, 1:3, 2:])
    assert torch.allclose(part, log_prob[3:4, 1:3, 2:], rtol=1e-12)
    noise = torch.rand(5, likelihood.noise, generator=generator, dtype=F64)
    pixels = drawn(likelihood, maps[:, :, 0, 0], noise)
    assert torch.equal(drawn(likelihood, maps[2:3, :, 0, 0], noise[2:3]), pixels[2:3])
    for stage, colours in enumerate(likelihood.stages):
        values = likelihood.draw(maps[:, :, 0, 0], stage, noise, pixels)
        assert values.shape == (5, len(colours)) and values.dtype == torch.int64
    assert [c for colours in likelihood.stages for c in colours] == list(range(channels))
    assert pixels.min() >= 0 and pixels.max() < shape.levels


@pytest.mark.parametrize("make", ALL)
def test_half_precision_maps_are_computed_in_float32(make: type[Likelihood]) -> None:
    shape = shape_for(make, 3, 256, side=3)
    likelihood = make(shape)
    generator = torch.Generator().manual_seed(2)
    image = torch.randint(shape.levels, (4, 3, 3, 3), generator=generator)
    uniform = torch.rand(4, 3, 3, 3, generator=generator)
    half = random_maps(likelihood, 4, likelihood.maps, 3, 3).to(torch.bfloat16)
    expected = likelihood.log_prob(half.float(), image, uniform)
    found = likelihood.log_prob(half, image, uniform)
    assert found.dtype == torch.float32 and torch.equal(found, expected)
    with torch.autocast("cpu", torch.bfloat16):
        inside = likelihood.log_prob(half, image, uniform)
    assert inside.dtype == torch.float32 and torch.allclose(inside, expected, rtol=1e-5)
    # 8 bits of a cumulative sum would move the levels
    noise = torch.rand(4, likelihood.noise, generator=generator, dtype=F64)
    assert torch.equal(drawn(likelihood, half[..., 0, 0], noise), drawn(likelihood, half[..., 0, 0].float(), noise))


@pytest.mark.parametrize("make", ALL)
def test_float32_is_as_good_as_float64(make: type[Likelihood]) -> None:
    shape = shape_for(make, 3, 256, side=8)
    likelihood = make(shape)
    generator = torch.Generator().manual_seed(3)
    image = torch.randint(shape.levels, (4, 3, 8, 8), generator=generator)
    uniform = torch.rand(4, 3, 8, 8, generator=generator, dtype=F64)
    maps = random_maps(likelihood, 4, likelihood.maps, 8, 8).float()
    single = likelihood.log_prob(maps, image, uniform)
    double = likelihood.double().log_prob(maps.double(), image, uniform)
    assert torch.allclose(single.double(), double, rtol=2e-5, atol=2e-5)


def test_linear_softmax_of_one_colour_is_the_categorical() -> None:
    shape = ImageShape(1, 2, 7)
    linear, categorical = LinearSoftmax(shape), Categorical(shape)
    image = torch.randint(7, (3, 1, 2, 2), generator=torch.Generator().manual_seed(0))
    maps = random_maps(linear, 3, 7, 2, 2)
    assert linear.maps == categorical.maps
    assert torch.allclose(linear.log_prob(maps, image), categorical.log_prob(maps, image), rtol=1e-12)
    noise = uniform_grid(1, 3)
    assert torch.equal(drawn(linear, maps[:, :, 0, 0], noise), drawn(categorical, maps[:, :, 0, 0], noise))


def test_linear_softmax_by_its_formula() -> None:
    levels = 4
    likelihood = LinearSoftmax(ImageShape(3, 1, levels))
    maps = random_maps(likelihood)
    red, green, blue, green_red, blue_red, blue_green = maps.split(levels)
    log_probs = all_log_probs(likelihood, maps)
    for (r, g, b), found in zip(all_pixels(likelihood.shape).tolist(), log_probs, strict=True):
        x, y = 2 * r / (levels - 1) - 1, 2 * g / (levels - 1) - 1
        expected = red.log_softmax(0)[r] + (green + green_red * x).log_softmax(0)[g]
        expected = expected + (blue + blue_red * x + blue_green * y).log_softmax(0)[b]
        assert float(found) == pytest.approx(float(expected), rel=1e-12)


def test_maps_are_as_many_as_the_papers_say() -> None:
    cifar, grey = ImageShape(3, 32, 256), ImageShape(1, 28, 256)
    assert Categorical(cifar).maps == 768
    assert LogisticMixture(cifar).maps == 100 and LogisticMixture(grey).maps == 30
    assert LinearSoftmax(cifar).maps == 1536
    assert MCGSM(cifar, features=32).maps == 96
    for whole in (LogisticMixture(cifar), LinearSoftmax(cifar)):
        assert whole.stages == ((0, 1, 2),) and whole.colours == 1
    assert MCGSM(cifar).stages == ((0,), (1,), (2,))


def test_says_what_is_wrong() -> None:
    shape = ImageShape(3, 2, 8)
    with pytest.raises(ConfigError, match=r"components is 0\. Expected 1 or more"):
        LogisticMixture(shape, components=0)
    with pytest.raises(ConfigError, match=r"quadratics is 0\. Expected 1 or more"):
        MCGSM(shape, quadratics=0)
    with pytest.raises(ValueError, match="needs uniform numbers"):
        MCGSM(shape).log_prob(torch.zeros(1, 96, 2, 2), torch.zeros(1, 3, 2, 2))
